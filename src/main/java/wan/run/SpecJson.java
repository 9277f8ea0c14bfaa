package wan.run;

import capture.Indices;
import capture.PassChoice;
import capture.QueryRegion;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.edit.EditJson;
import wan.file.StrictJson;
import wan.noise.CudaGeometry;
import wan.noise.Rng;
import wan.noise.Seed;
import wan.op.AttentionKind;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Quantity;
import wan.op.Site;
import wan.op.UsageException;
import wan.weights.Lora;
import wan.weights.ModelLayout.Branch;

/**
 * A {@link RunSpec} as JSON with stable names: every field is mapped explicitly, independent of Java names.
 * docs/RESULT-FORMAT.md lists them.
 *
 * <p>Missing fields have their defaults; unknown fields are errors.
 */
public final class SpecJson {
    /** Raised when a file of the version before could be misread. */
    public static final int VERSION = 1;

    private static final Map<String, Branch> BRANCHES = words(List.of(Branch.values()), branch -> switch (branch) {
        case EMA_OR_GENERATOR -> "ema-or-generator";
        case EMA -> "ema";
        case GENERATOR -> "generator";
    });
    private static final Map<String, Rng> GENERATORS = words(List.of(Rng.values()), Rng::toString);
    private static final Map<String, Boolean> NOISE_IN_BF16 =
            words(List.of(true, false), bf16 -> bf16 ? "bf16" : "f32");
    private static final Map<String, DType> OF_CACHE = words(List.of(DType.F32, DType.F16, DType.BF16), DType::option);
    private static final Map<String, DType> OF_WEIGHTS =
            words(List.of(DType.F32, DType.F16, DType.BF16, DType.F8_E4M3), DType::option);
    private static final Map<String, AttentionKind> KINDS =
            words(List.of(AttentionKind.values()), kind -> switch (kind) {
                case SELF -> "self";
                case CROSS -> "cross";
                case IMAGE -> "image";
            });
    private static final Map<String, Quantity> QUANTITIES = words(List.of(Quantity.values()), Quantity::option);

    private static final Map<String, Site> SITES = words(List.of(Site.values()), Site::option);

    private SpecJson() {}

    private static <T> Map<String, T> words(List<T> values, Function<T, String> name) {
        SequencedMap<String, T> words = new LinkedHashMap<>();
        values.forEach(value -> words.put(name.apply(value), value));
        return words;
    }

    /** The text, indented. */
    public static String write(RunSpec spec) {
        return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(tree(spec)) + "\n";
    }

    /** The value as a tree. */
    public static ObjectNode tree(RunSpec spec) {
        ObjectNode root = JsonMapper.shared().createObjectNode();
        root.put("version", VERSION);

        ObjectNode model = root.putObject("model");
        put(model, "path", spec.model().path());
        put(model, "checkpoint", spec.model().checkpoint());
        model.put("branch", name(BRANCHES, spec.model().branch()));
        if (spec.model().allowZeroWeights()) {
            model.put("allow_zero_weights", true);
        }
        ArrayNode loras = model.putArray("loras");
        for (Lora lora : spec.model().loras()) {
            ObjectNode adapters = loras.addObject();
            put(adapters, "file", lora.file());
            adapters.put("strength", lora.strength());
            adapters.put("alpha", lora.alpha());
        }
        model.put("preset", spec.model().preset());

        RunSpec.Prompt p = spec.prompt();
        ObjectNode prompt = root.putObject("prompt");
        ArrayNode texts = prompt.putArray("texts");
        p.texts().forEach(texts::add);
        prompt.put("negative", p.negative());
        put(prompt, "embeddings", p.embeddings());
        put(prompt, "tokenizer", p.tokenizer());
        put(prompt, "text_encoder", p.textEncoder());
        prompt.put("keep", p.keep());
        ArrayNode later = prompt.putArray("later");
        p.later().forEach(later::add);

        ObjectNode video = root.putObject("video");
        video.put("latent_height", spec.video().latentHeight());
        video.put("latent_width", spec.video().latentWidth());
        video.put("num_frames", spec.video().numFrames());
        put(video, "initial_latent", spec.video().initialLatent());
        put(video, "picture", spec.video().picture());
        put(video, "vae", spec.video().vae());

        ObjectNode noise = root.putObject("noise");
        noise.put("generator", name(GENERATORS, spec.noise().generator()));
        noise.put("seed", Seed.number(spec.noise().seed()));
        noise.put("dtype", spec.noise().bf16() ? "bf16" : "f32");
        noise.put("cuda_device", spec.noise().cudaDevice().toString());
        put(noise, "replay", spec.noise().replay());
        noise.put("replay_run", spec.noise().replayRun());

        RunSpec.Sampler s = spec.sampler();
        ObjectNode sampler = root.putObject("sampler");
        ArrayNode steps = sampler.putArray("steps");
        s.steps().forEach(steps::add);
        sampler.put("shift", s.shift());
        sampler.put("warp", s.warp());
        sampler.put("context_noise", s.contextNoise());
        sampler.put("num_frame_per_block", s.numFramePerBlock());
        sampler.put("independent_first_frame", s.independentFirstFrame());
        MethodJson.write(sampler.putObject("method"), s.method());

        ObjectNode cache = root.putObject("cache");
        cache.put("local_attn_size", spec.cache().localAttnSize());
        cache.put("sink_size", spec.cache().sinkSize());
        cache.put("policy", spec.cache().policy());
        cache.put("heads", spec.cache().heads());

        ObjectNode capture = root.putObject("capture");
        put(capture, "layers", spec.capture().layers());
        put(capture, "heads", spec.capture().heads());
        put(capture, "attention", KINDS, spec.capture().attention());
        capture.put("passes", spec.capture().passes().toString());
        put(capture, "quantities", QUANTITIES, spec.capture().quantities());
        put(capture, "sites", SITES, spec.capture().sites());
        capture.put("keep_non_finite", spec.capture().keepNonFinite());
        ArrayNode queries = capture.putArray("queries");
        spec.capture().queries().forEach(box -> queries.add(box.toString()));

        root.set("edits", JsonMapper.shared().valueToTree(EditJson.toJson(spec.edits())));

        RunSpec.Device d = spec.device();
        ObjectNode device = root.putObject("device");
        device.put("name", d.name());
        device.put("weights", name(OF_WEIGHTS, d.weights()));
        device.put("cache", name(OF_CACHE, d.cache()));
        device.put("libraries", d.libraries());
        device.put("kernels", d.kernels());
        device.put("memory_bytes", d.memoryBytes());
        device.put("threads", d.threads());

        ObjectNode output = root.putObject("output");
        put(output, "result", spec.output().result());
        put(output, "latents", spec.output().latents());
        output.put("passes", spec.output().passes());
        output.put("complete", spec.output().complete());
        RunSpec.Output.Decoded decoded = spec.output().video();
        put(output, "video", decoded == null ? null : decoded.file());
        put(output, "vae", decoded == null ? null : decoded.vae());
        return root;
    }

    /**
     * Reads what {@link #write} writes.
     *
     * @param file for messages
     * @throws FormatException with the path in the document of what is wrong
     */
    public static RunSpec read(Object file, String json) {
        return read(file, StrictJson.tree(file, json.getBytes(StandardCharsets.UTF_8)));
    }

    /** Reads the tree of {@link #tree}. */
    public static RunSpec read(Object file, JsonNode tree) {
        JsonFields root = new JsonFields(file, tree);
        int version = root.integer("version", 0);
        if (version != VERSION) {
            throw new FormatException(
                    file,
                    "version: expected " + VERSION + ", got " + (version == 0 ? "none" : version)
                            + (version > VERSION ? "; it is of a newer " + Program.NAME : ""));
        }
        try {
            RunSpec spec = read(root);
            spec.check();
            return spec;
        } catch (UsageException e) {
            throw new FormatException(file, String.valueOf(e.getMessage()), e);
        }
    }

    private static RunSpec read(JsonFields root) {
        JsonFields model = root.object("model");
        RunSpec spec = RunSpec.of(new RunSpec.Model(
                model.pathOrNull("path", null),
                model.pathOrNull("checkpoint", null),
                model.word("branch", Branch.EMA_OR_GENERATOR, BRANCHES),
                model.objects("loras").stream().map(SpecJson::lora).toList(),
                model.textOrNull("preset", null),
                model.flag("allow_zero_weights", false)));
        model.done();

        RunSpec.Prompt p = spec.prompt();
        JsonFields prompt = root.object("prompt");
        spec = spec.withPrompt(new RunSpec.Prompt(
                prompt.texts("texts", p.texts()),
                prompt.textOrNull("negative", p.negative()),
                prompt.pathOrNull("embeddings", p.embeddings()),
                prompt.pathOrNull("tokenizer", p.tokenizer()),
                prompt.pathOrNull("text_encoder", p.textEncoder()),
                prompt.flag("keep", p.keep()),
                prompt.texts("later", p.later())));
        prompt.done();

        RunSpec.Video v = spec.video();
        JsonFields video = root.object("video");
        spec = spec.withVideo(new RunSpec.Video(
                video.integerOrNull("latent_height", v.latentHeight()),
                video.integerOrNull("latent_width", v.latentWidth()),
                video.integer("num_frames", v.numFrames()),
                video.pathOrNull("initial_latent", v.initialLatent()),
                video.pathOrNull("picture", v.picture()),
                video.pathOrNull("vae", v.vae())));
        video.done();

        RunSpec.Noise n = spec.noise();
        JsonFields noise = root.object("noise");
        spec = spec.withNoise(new RunSpec.Noise(
                noise.word("generator", n.generator(), GENERATORS),
                noise.seed("seed", n.seed()),
                noise.word("dtype", n.bf16(), NOISE_IN_BF16),
                CudaGeometry.of(noise.text("cuda_device", n.cudaDevice().toString())),
                noise.pathOrNull("replay", n.replay()),
                noise.text("replay_run", n.replayRun())));
        noise.done();

        RunSpec.Sampler s = spec.sampler();
        JsonFields sampler = root.object("sampler");
        spec = spec.withSampler(new RunSpec.Sampler(
                sampler.numbers("steps", s.steps()),
                sampler.number("shift", s.shift()),
                sampler.flag("warp", s.warp()),
                sampler.number("context_noise", s.contextNoise()),
                sampler.integer("num_frame_per_block", s.numFramePerBlock()),
                sampler.flag("independent_first_frame", s.independentFirstFrame()),
                MethodJson.read(sampler.object("method"))));
        sampler.done();

        RunSpec.Cache k = spec.cache();
        JsonFields cache = root.object("cache");
        spec = spec.withCache(new RunSpec.Cache(
                cache.integerOrNull("local_attn_size", k.localAttnSize()),
                cache.integerOrNull("sink_size", k.sinkSize()),
                cache.textOrNull("policy", k.policy()),
                cache.textOrNull("heads", k.heads())));
        cache.done();

        RunSpec.Captures c = spec.capture();
        JsonFields capture = root.object("capture");
        spec = spec.withCapture(new RunSpec.Captures(
                new Indices(capture.indices("layers", c.layers().some())),
                new Indices(capture.indices("heads", c.heads().some())),
                capture.words("attention", c.attention(), KINDS),
                PassChoice.parse(capture.text("passes", c.passes().toString())),
                capture.wordsOrNone("quantities", c.quantities(), QUANTITIES),
                capture.wordsOrNone("sites", c.sites(), SITES),
                capture.flag("keep_non_finite", c.keepNonFinite()),
                capture
                        .texts(
                                "queries",
                                c.queries().stream().map(QueryRegion::toString).toList())
                        .stream()
                        .map(QueryRegion::parse)
                        .toList()));
        capture.done();

        JsonNode edits = root.nodeOrNull("edits");
        if (edits != null) {
            spec = spec.withEdits(EditJson.parse("edits", edits));
        }

        RunSpec.Device d = spec.device();
        JsonFields device = root.object("device");
        spec = spec.withDevice(new RunSpec.Device(
                device.text("name", d.name()),
                device.word("weights", d.weights(), OF_WEIGHTS),
                device.word("cache", d.cache(), OF_CACHE),
                device.text("libraries", d.libraries()),
                device.text("kernels", d.kernels()),
                device.longInteger("memory_bytes", d.memoryBytes()),
                device.integerOrNull("threads", d.threads())));
        device.done();

        RunSpec.Output o = spec.output();
        RunSpec.Output.Decoded decoded = o.video();
        JsonFields output = root.object("output");
        Path result = output.pathOrNull("result", o.result());
        Path latents = output.pathOrNull("latents", o.latents());
        boolean passes = output.flag("passes", o.passes());
        boolean complete = output.flag("complete", o.complete());
        Path videoFile = output.pathOrNull("video", decoded == null ? null : decoded.file());
        Path vae = output.pathOrNull("vae", decoded == null ? null : decoded.vae());
        if ((videoFile == null) != (vae == null)) {
            throw new UsageException("output.video: expected output.vae with it, and neither without the other");
        }
        spec = spec.withOutput(new RunSpec.Output(
                result,
                latents,
                passes,
                complete,
                videoFile == null || vae == null ? null : new RunSpec.Output.Decoded(videoFile, vae)));
        output.done();
        root.done();
        return spec;
    }

    private static Lora lora(JsonFields node) {
        Lora lora = new Lora(node.path("file"), node.real("strength", 1), node.realOrNull("alpha", null));
        node.done();
        return lora;
    }

    private static void put(ObjectNode node, String field, @Nullable Path path) {
        node.put(field, path == null ? null : path.toString());
    }

    private static void put(ObjectNode node, String field, Indices indices) {
        if (indices.some().isEmpty()) {
            node.put(field, "all");
        } else {
            ArrayNode list = node.putArray(field);
            indices.some().forEach(list::add);
        }
    }

    private static <T extends Comparable<T>> void put(
            ObjectNode node, String field, Map<String, T> words, Collection<T> values) {
        ArrayNode list = node.putArray(field);
        values.stream().sorted().forEach(value -> list.add(name(words, value)));
    }

    private static <T> String name(Map<String, T> words, T value) {
        return words.entrySet().stream()
                .filter(word -> word.getValue().equals(value))
                .map(Map.Entry::getKey)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("no word for " + value));
    }
}
