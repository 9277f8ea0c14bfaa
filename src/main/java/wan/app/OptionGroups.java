package wan.app;

import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import picocli.CommandLine.Help;
import picocli.CommandLine.IHelpSectionRenderer;
import picocli.CommandLine.Model.OptionSpec;

/** The list of options in a command's help: a long one in groups, by the class that declares an option. */
final class OptionGroups implements IHelpSectionRenderer {
    /** Longer lists are divided into groups. */
    private static final int LONG_LIST = 20;

    private static final String OWN = "Output and control";
    private static final String GENERAL = "General";

    private static final Map<String, String> HEADINGS = headings();

    private static Map<String, String> headings() {
        Map<String, String> headings = new LinkedHashMap<>();
        headings.put("ModelOptions", "Model");
        headings.put("PromptText", "Prompt");
        headings.put("PromptOptions", "Prompt");
        headings.put("EncoderOptions", "Prompt");
        headings.put("PromptInput", "Given frames and pictures");
        headings.put("RunOptions", "Video and rollout");
        headings.put("SamplerOptions", "Sampler");
        headings.put("NoiseOptions", "Noise");
        headings.put("CaptureOptions", "What is captured");
        headings.put("EditOptions", "Interventions");
        headings.put("VariantOptions", "What is tried");
        headings.put("AnalysisOptions", "What is analyzed");
        headings.put("PlotCommand", "What is drawn");
        headings.put("FigureOptions", "How the figure looks");
        headings.put("RoleConstants", "Constants of the role rules");
        headings.put("DeviceOptions", "Device");
        headings.put("", OWN);
        headings.put("Main", GENERAL);
        return headings;
    }

    @Override
    public String render(Help help) {
        List<OptionSpec> options = help.commandSpec().options().stream()
                .filter(option -> !option.hidden())
                .toList();
        if (options.size() <= LONG_LIST) {
            return help.optionList(
                    HelpLayout.table(help),
                    Comparator.comparing(OptionSpec::longestName),
                    help.parameterLabelRenderer());
        }
        Map<String, List<OptionSpec>> groups = new LinkedHashMap<>();
        HEADINGS.values().forEach(heading -> groups.putIfAbsent(heading, new ArrayList<>()));
        for (OptionSpec option : options) {
            Objects.requireNonNull(groups.get(heading(option))).add(option);
        }
        StringBuilder text = new StringBuilder();
        groups.forEach((heading, members) -> {
            if (!members.isEmpty()) {
                Help.Layout layout = HelpLayout.table(help);
                members.sort(Comparator.comparing(OptionSpec::longestName));
                layout.addAllOptions(members, help.parameterLabelRenderer());
                text.append(System.lineSeparator())
                        .append(heading)
                        .append(':')
                        .append(System.lineSeparator())
                        .append(layout);
            }
        });
        return text.toString();
    }

    private static String heading(OptionSpec option) {
        if (!(option.userObject() instanceof Field field)
                || option.longestName().matches("--(help|version)")) {
            return GENERAL;
        }
        return HEADINGS.getOrDefault(field.getDeclaringClass().getSimpleName(), OWN);
    }
}
