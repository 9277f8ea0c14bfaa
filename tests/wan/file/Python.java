package wan.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;

/** Debian's Python, where it is installed: the one that judges whether PyTorch and NumPy read what we write. */
public final class Python {
    private static final String PYTHON = "/usr/bin/python3";

    private Python() {}

    /** What a script prints. The test is skipped, with a notice, if the module cannot be imported. */
    public static String run(String module, String script, Object... arguments)
            throws IOException, InterruptedException {
        if (status("import " + module) != 0) {
            String notice = "skipped: " + PYTHON + " has no module " + module;
            System.out.println(notice);
            Assumptions.abort(notice);
        }
        Process process = start(script, arguments).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output.strip();
    }

    private static int status(String script) throws InterruptedException {
        try {
            Process process = start(script)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            return process.waitFor(60, TimeUnit.SECONDS) ? process.exitValue() : -1;
        } catch (IOException _) {
            return -1;
        }
    }

    private static ProcessBuilder start(String script, Object... arguments) {
        List<String> command = new ArrayList<>(List.of(PYTHON, "-c", script));
        for (Object argument : arguments) {
            command.add(argument.toString());
        }
        return new ProcessBuilder(command);
    }
}
