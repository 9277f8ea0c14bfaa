package wan.run;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.sampling.Method;

/** A {@link Method} as JSON: its type, and the fields of that type. */
final class MethodJson {
    private static final String FEW_STEP = "few-step";
    private static final String ROLLING = "rolling-window";
    private static final String RECOMPUTED = "recomputed-keys";
    private static final String ODE = "ode";

    private static final Map<String, String> TYPES = words(FEW_STEP, ROLLING, RECOMPUTED, ODE);
    private static final Map<String, Method.CacheRule> RULES = rules();
    private static final Map<String, Method.Solver> SOLVERS = solvers();

    private MethodJson() {}

    private static Map<String, String> words(String... words) {
        SequencedMap<String, String> map = new LinkedHashMap<>();
        for (String word : words) {
            map.put(word, word);
        }
        return map;
    }

    private static Map<String, Method.CacheRule> rules() {
        SequencedMap<String, Method.CacheRule> map = new LinkedHashMap<>();
        for (Method.CacheRule rule : Method.CacheRule.values()) {
            map.put(name(rule), rule);
        }
        return map;
    }

    private static Map<String, Method.Solver> solvers() {
        SequencedMap<String, Method.Solver> map = new LinkedHashMap<>();
        for (Method.Solver solver : Method.Solver.values()) {
            map.put(solver.option(), solver);
        }
        return map;
    }

    private static String name(Method.CacheRule rule) {
        return switch (rule) {
            case SELF_FORCING -> "self-forcing";
            case LONGLIVE -> "longlive";
        };
    }

    static void write(ObjectNode node, Method method) {
        switch (method) {
            case Method.FewStep m -> {
                node.put("type", FEW_STEP);
                ArrayNode steps = node.putArray("first_block_steps");
                m.firstBlockSteps().forEach(steps::add);
                node.put("cache_rule", name(m.rule()));
                node.put("slot_positions", m.slotPositions());
                ArrayNode frames = node.putArray("switch_frames");
                m.switchFrames().forEach(frames::add);
                node.put("global_sink", m.globalSink());
            }
            case Method.RollingWindow m -> {
                node.put("type", ROLLING);
                node.put("cache_frames", m.cacheFrames());
                node.put("max_attention_frames", m.maxAttentionFrames());
            }
            case Method.RecomputedKeys m -> {
                node.put("type", RECOMPUTED);
                node.put("context_frames", m.contextFrames());
                node.put("keep_first_frame", m.keepFirstFrame());
                node.put("prompt_change_block", m.promptChangeBlock());
                node.put("interpolation_steps", m.interpolationSteps());
            }
            case Method.Ode m -> {
                node.put("type", ODE);
                node.put("solver", m.solver().option());
                node.put("steps", m.steps());
                node.put("guide_scale", m.guideScale());
                node.put("boundary", m.boundary());
                node.put("high_noise_guide_scale", m.highNoiseGuideScale());
                node.put("picture_first", m.pictureFirst());
                node.put("per_frame_block", m.perFrameBlock());
            }
        }
    }

    static Method read(JsonFields node) {
        Method method = switch (node.word("type", FEW_STEP, TYPES)) {
            case ROLLING ->
                new Method.RollingWindow(node.required("cache_frames"), node.required("max_attention_frames"));
            case RECOMPUTED ->
                new Method.RecomputedKeys(
                        node.required("context_frames"),
                        node.flag("keep_first_frame", true),
                        node.integer("prompt_change_block", -1),
                        node.integer("interpolation_steps", 1));
            case ODE -> {
                float guideScale = node.number("guide_scale", 1);
                yield new Method.Ode(
                        node.word("solver", Method.Solver.UNIPC, SOLVERS),
                        node.required("steps"),
                        guideScale,
                        node.number("boundary", 2),
                        node.number("high_noise_guide_scale", guideScale),
                        node.flag("picture_first", false),
                        node.flag("per_frame_block", false));
            }
            default ->
                new Method.FewStep(
                        node.numbers("first_block_steps", List.of()),
                        node.word("cache_rule", Method.CacheRule.SELF_FORCING, RULES),
                        node.flag("slot_positions", false),
                        node.integers("switch_frames", List.of()),
                        node.flag("global_sink", true));
        };
        node.done();
        return method;
    }
}
