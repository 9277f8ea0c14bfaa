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
                .orElseThrow(() -> new UsageException(
                        "--model: expected the folder of the model, since there is none of the usual ones, "
                                + String.join(", ", MODEL) + "; leave the checkpoint options away for the demo model"));
    }
}
