package capture.analysis;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.DoubleStream;
import org.jspecify.annotations.Nullable;
import wan.op.Quantity;
import wan.op.UsageException;

/** Published rules that assign roles to heads. */
public enum RoleRule {
    /** Anchor, local and memory heads. */
    HEAD_FORCING(
            Quantity.FRAME_MASS,
            List.of("anchor", "local", "memory"),
            "The heads with the highest sink mass are anchors; of the rest, those with the highest current"
                    + " mass are local; all others are memory. Shares are of all captured heads, rounded to whole"
                    + " heads.",
            "Head Forcing, arXiv 2605.14487") {
        @Override
        void assign(Analysis analysis, RoleOptions options, @Nullable String[] roles) {
            double[] sink = analysis.measure(Measure.SINK_MASS);
            double[] current = analysis.measure(Measure.CURRENT_MASS);
            int heads = known(sink);
            Roles.giveToHighest(roles, sink, share(options.headForcingAnchor(), heads), "anchor");
            Roles.giveToHighest(roles, current, share(options.headForcingLocal(), heads), "local");
            Roles.giveToHighest(roles, current, heads, "memory");
        }

        @Override
        public List<Constant> constants(RoleOptions options) {
            return List.of(
                    new Constant("anchor share", options.headForcingAnchor(), true),
                    new Constant("local share", options.headForcingLocal(), true));
        }
    },
    /** Sink, neighbour and dummy heads. */
    DUMMY_FORCING(
            Quantity.FRAME_MASS,
            List.of("sink", "neighbour", "dummy"),
            "Sink mass and neighbour mass are each divided by their sum over all captured heads. The heads"
                    + " whose larger value is smallest are dummies; any other head is neighbour if its neighbour value"
                    + " is the larger, else sink. The published code decides in the clean pass (t = 0) of the second"
                    + " frame block (third for LongLive), from a third as many queries as a frame has tokens, sampled"
                    + " from the whole frame block; its configurations make 180 of 360 heads dummies. Here all queries"
                    + " count.",
            "Dummy Forcing, arXiv 2601.20499, dummyforcing.py of csguoh/DummyForcing") {
        @Override
        void assign(Analysis analysis, RoleOptions options, @Nullable String[] roles) {
            double[] sink = normalised(analysis.measure(Measure.SINK_MASS));
            double[] neighbour = normalised(analysis.measure(Measure.NEIGHBOUR_MASS));
            double[] smallness = new double[sink.length];
            Arrays.setAll(smallness, i -> -Math.max(sink[i], neighbour[i]));
            Roles.giveToHighest(roles, smallness, share(options.dummyShare(), known(smallness)), "dummy");
            for (int i = 0; i < roles.length; i++) {
                if (roles[i] == null && !Double.isNaN(smallness[i])) {
                    roles[i] = sink[i] < neighbour[i] ? "neighbour" : "sink";
                }
            }
        }

        @Override
        public List<Constant> constants(RoleOptions options) {
            return List.of(new Constant("dummy share", options.dummyShare(), true));
        }
    },
    /** Static and dynamic heads. */
    FORCING_KV(
            Quantity.FRAME_MASS,
            List.of("static", "dynamic"),
            "A head is static if its recent mass (newest 4 frames, over all but the first 3) reaches the"
                    + " threshold, else dynamic. The script head_profile.py leaves out 1 frame; the head maps shipped"
                    + " with it say 3.",
            "Forcing-KV, arXiv 2605.09681, configs_head of zju-jiyicheng/Forcing-KV") {
        @Override
        void assign(Analysis analysis, RoleOptions options, @Nullable String[] roles) {
            double[] recent = analysis.measure(Measure.RECENT_MASS);
            for (int i = 0; i < roles.length; i++) {
                if (!Double.isNaN(recent[i])) {
                    roles[i] = recent[i] >= options.staticMass() ? "static" : "dynamic";
                }
            }
        }

        @Override
        public List<Constant> constants(RoleOptions options) {
            return List.of(new Constant("static mass", options.staticMass(), true));
        }
    },
    /** Anchor, veil and wave heads. */
    PYRAMID_FORCING(
            Quantity.FRAME_LOGITS,
            List.of("anchor", "veil", "wave"),
            "By the sign rate, heads with mostly positive logits are anchor, with mostly negative logits"
                    + " veil. Of the rest, a head is wave if its dominant period holds enough of the spectrum's power,"
                    + " else anchor if its mean logit is positive, else veil. The order of these tests is published;"
                    + " the thresholds are not.",
            "Pyramid Forcing, arXiv 2605.13111, README of IF-LAB-PKU/Pyramid-Forcing") {
        @Override
        void assign(Analysis analysis, RoleOptions options, @Nullable String[] roles) {
            double[] positive = analysis.measure(Measure.SIGN_RATE);
            double[] period = analysis.measure(Measure.PERIOD_SHARE);
            for (int i = 0; i < roles.length; i++) {
                if (Double.isNaN(positive[i])) {
                    continue;
                }
                HeadView view = analysis.heads().get(i);
                if (positive[i] >= options.positiveRate()) {
                    roles[i] = "anchor";
                } else if (positive[i] <= options.negativeRate()) {
                    roles[i] = "veil";
                } else if (period[i] >= options.waveShare()) {
                    roles[i] = "wave";
                } else {
                    double sum = 0;
                    for (double value : view.logitRow()) {
                        sum += Double.isNaN(value) ? 0 : value;
                    }
                    roles[i] = sum > 0 ? "anchor" : "veil";
                }
            }
        }

        @Override
        public List<Constant> constants(RoleOptions options) {
            return List.of(
                    new Constant("positive rate", options.positiveRate(), false),
                    new Constant("negative rate", options.negativeRate(), false),
                    new Constant("wave share", options.waveShare(), false));
        }
    };

    /**
     * A number that a rule needs.
     *
     * @param name what it is
     * @param value as used
     * @param published whether the paper or its code states a value; else the default is ours
     */
    public record Constant(String name, double value, boolean published) {}

    private final Quantity quantity;

    @SuppressWarnings("ImmutableEnumChecker") // made by List.of
    private final List<String> names;

    private final String definition;
    private final String source;

    RoleRule(Quantity quantity, List<String> names, String definition, String source) {
        this.quantity = quantity;
        this.names = names;
        this.definition = definition;
        this.source = source;
    }

    /** Fills in what can be told. */
    abstract void assign(Analysis analysis, RoleOptions options, @Nullable String[] roles);

    /** The constants that the rule uses. */
    public abstract List<Constant> constants(RoleOptions options);

    /** Sorts the heads of a run. */
    public Roles of(Analysis analysis, RoleOptions options) {
        @Nullable String[] roles = new @Nullable String[analysis.heads().size()];
        assign(analysis, options, roles);
        List<@Nullable String> list = new ArrayList<>();
        for (String role : roles) {
            list.add(role);
        }
        return new Roles(this, list);
    }

    /** As options and files spell it: {@code head-forcing}. */
    public String id() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** What has to be captured for it. */
    public Quantity quantity() {
        return quantity;
    }

    /** The roles, in the order of the paper. */
    public List<String> names() {
        return names;
    }

    /** How heads are sorted. */
    public String definition() {
        return definition;
    }

    /** Where it comes from. */
    public String source() {
        return source;
    }

    /**
     * A rule by its id.
     *
     * @throws UsageException if there is none
     */
    public static RoleRule parse(String id) {
        return Arrays.stream(values())
                .filter(rule -> rule.id().equals(id))
                .findFirst()
                .orElseThrow(() -> new UsageException("analysis.roles: expected one of "
                        + String.join(
                                ", ", Arrays.stream(values()).map(RoleRule::id).toList()) + ", got " + id));
    }

    private static int known(double[] values) {
        return (int)
                DoubleStream.of(values).filter(value -> !Double.isNaN(value)).count();
    }

    private static int share(double share, int heads) {
        return (int) Math.round(share * heads);
    }

    private static double[] normalised(double[] values) {
        double sum =
                DoubleStream.of(values).filter(value -> !Double.isNaN(value)).sum();
        return DoubleStream.of(values)
                .map(value -> sum > 0 ? value / sum : value)
                .toArray();
    }
}
