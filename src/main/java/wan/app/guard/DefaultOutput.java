package wan.app.guard;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** A command whose output depends on several options: its name has a default, or it becomes a folder of files. */
public interface DefaultOutput {
    /** All that the result may become by the options alone: a file, a folder of files, or either where only the run will tell. */
    Map<Path, OutputKind> outputs();

    /** What is read beyond what the options name, because a file says so; asked when the options were found harmless. */
    List<Path> furtherInputs();

    /** What is written beyond what the options name, because a file says so. */
    Map<Path, OutputKind> furtherOutputs();
}
