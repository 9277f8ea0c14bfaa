package wan.app.option;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.edit.EditJson;
import wan.edit.EditPlan;
import wan.edit.EditShorthand;
import wan.edit.Rule;

/** The options that say what is changed in the model's attention. */
public final class EditOptions {
    @Reads
    @Option(
            names = "--edit",
            paramLabel = "FILE",
            description = "Interventions as JSON: a list of rules that zero, average, scale, bias, block or patch"
                    + " heads.")
    private List<Path> files = new ArrayList<>();

    @Option(
            names = "--ablate",
            paramLabel = "HEADS",
            description = "Zero the output of heads: LAYER:HEADS such as 3:5,7:0-3.")
    private List<String> ablated = new ArrayList<>();

    @Option(
            names = "--temperature",
            paramLabel = "HEADS=T",
            description = "Divide the logits of heads by T, such as 3:5=0.7; separate several by ;.")
    private List<String> temperatures = new ArrayList<>();

    @Option(
            names = "--bias-frame",
            paramLabel = "HEADS:FRAMES=B",
            description = "Add B to the logits of key frames: 0:3:5=-2 is layer 0, head 3, frame 5. -inf blocks the"
                    + " frame.")
    private List<String> biases = new ArrayList<>();

    /**
     * The interventions that the options ask for.
     *
     * @param recorded those of a replayed run, which come first
     */
    public EditPlan plan(EditPlan recorded) {
        List<Rule> rules = new ArrayList<>(recorded.rules());
        files.forEach(file -> rules.addAll(EditJson.read(file).rules()));
        ablated.forEach(
                text -> rules.addAll(EditShorthand.zero("--ablate", text).rules()));
        temperatures.forEach(text ->
                rules.addAll(EditShorthand.temperature("--temperature", text).rules()));
        biases.forEach(text ->
                rules.addAll(EditShorthand.biasFrame("--bias-frame", text).rules()));
        return new EditPlan(rules);
    }
}
