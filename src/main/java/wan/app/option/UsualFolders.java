package wan.app.option;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import wan.op.UsageException;

/** Where the reference's scripts and this program's documentation put the model that checkpoints are made for. */
final class UsualFolders {
    private static final List<String> MODEL = List.of(
            "wan_models/Wan2.1-T2V-1.3B", "weights/Wan2.1-T2V-1.3B", "models/Wan2.1-T2V-1.3B", "Wan2.1-T2V-1.3B");

    private UsualFolders() {}

    /**
     * The model's folder.
     *
     * @param working the folder that the names are relative to
     * @throws UsageException if there is none
     */
    static Path model(Path working) {
        return MODEL.stream()
                .map(working::resolve)
                .filter(Files::isDirectory)
                .findFirst()
                .orElseThrow(() ->
                        new UsageException("--model: expected a model folder, because none of the usual ones exists: "
                                + String.join(", ", MODEL) + "; omit the checkpoint options to use the demo model"));
    }
}
