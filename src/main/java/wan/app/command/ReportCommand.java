package wan.app.command;

import capture.analysis.HeadExports;
import capture.analysis.MeasureOptions;
import capture.analysis.RoleOptions;
import capture.analysis.RunResult;
import capture.figures.Report;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import wan.app.guard.Force;
import wan.app.guard.OutputKind;
import wan.app.guard.Reads;
import wan.app.guard.Writes;
import wan.run.Program;

/** {@code wan-attn report}: an interactive page of one or more runs. */
@Command(
        name = "report",
        description = "Writes one self-contained HTML file to explore runs in a browser, offline.",
        footer = {
            "",
            "The file holds every captured pass: an overview of layers and heads by any measure, each head's heat map, rows,",
            "passes and token map, two runs side by side with their difference. It loads nothing from anywhere.",
            "",
            "Examples:",
            "  wan-attn extract --layer all --pass all --what frame-logits,frame-mass,key-logits --output run.safetensors",
            "  wan-attn report run.safetensors --out report.html",
            "  wan-attn report seed1.safetensors seed2.safetensors --out seeds.html"
        })
public final class ReportCommand implements Callable<Integer> {
    @Reads
    @Parameters(
            paramLabel = "RESULT",
            arity = "1..*",
            description =
                    "Files that extract wrote (.safetensors, .npz), or what the reference's script saves: layer3.pt, or a"
                            + " folder of layer0.pt, layer1.pt, ...")
    private List<Path> files = new ArrayList<>();

    @Writes(OutputKind.PAGE)
    @Option(
            names = {"-o", "--out", "--output"},
            paramLabel = "FILE",
            description = "The page (default: ${DEFAULT-VALUE}).")
    private Path out = Path.of("report.html");

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    @Mixin
    private RoleConstants constants = new RoleConstants();

    @Override
    public Integer call() {
        write(files, out, constants.options());
        System.out.println("Saved to " + out);
        return 0;
    }

    /** Writes the report of finished result files, with the published constants of the role rules. */
    static void write(List<Path> results, Path out) {
        write(results, out, RoleOptions.DEFAULT);
    }

    private static void write(List<Path> files, Path out, RoleOptions roles) {
        List<RunResult> results = new ArrayList<>();
        try {
            for (Path file : files) {
                results.add(RunResult.open(file));
            }
            HeadExports.text(out, Report.write(results, MeasureOptions.DEFAULT, roles, Program.version()));
        } finally {
            results.forEach(RunResult::close);
        }
    }
}
