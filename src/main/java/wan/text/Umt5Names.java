package wan.text;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import wan.file.NameParts;

/** The names of a UMT5 encoder's parameters: Wan's, which are used here, and those of {@code transformers}' {@code UMT5EncoderModel}. */
final class Umt5Names {
    private static final Pattern WAN = Pattern.compile("(?:blocks\\.\\d{1,4}\\.(?:norm1|norm2|attn\\.[qkvo]"
            + "|pos_embedding\\.embedding|ffn\\.gate\\.0|ffn\\.fc1|ffn\\.fc2)|token_embedding|norm)");
    private static final Pattern LAYER = Pattern.compile("blocks\\.(\\d{1,4})\\.(.*)");
    private static final Pattern HUGGING_FACE =
            Pattern.compile("(?:encoder\\.)?block\\.(\\d{1,4})\\.layer\\.(\\d)\\.(.*)");

    /** Modules of a layer: Wan's name, Hugging Face's. */
    private static final Map<String, String> IN_LAYER = Map.ofEntries(
            Map.entry("norm1", "0.layer_norm"),
            Map.entry("attn.q", "0.SelfAttention.q"),
            Map.entry("attn.k", "0.SelfAttention.k"),
            Map.entry("attn.v", "0.SelfAttention.v"),
            Map.entry("attn.o", "0.SelfAttention.o"),
            Map.entry("pos_embedding.embedding", "0.SelfAttention.relative_attention_bias"),
            Map.entry("norm2", "1.layer_norm"),
            Map.entry("ffn.gate.0", "1.DenseReluDense.wi_0"),
            Map.entry("ffn.fc1", "1.DenseReluDense.wi_1"),
            Map.entry("ffn.fc2", "1.DenseReluDense.wo"));

    private static final Map<String, String> BACK = new LinkedHashMap<>();

    static {
        IN_LAYER.forEach((wan, other) -> BACK.put(other, wan));
    }

    private Umt5Names() {}

    /** Every module of a layer. */
    static Iterable<String> inLayer() {
        return IN_LAYER.keySet().stream().sorted().toList();
    }

    /** Wan's name of a module, given in either scheme without what stands before it; empty if it is none. */
    static Optional<String> wan(String module) {
        if (WAN.matcher(module).matches()) {
            return Optional.of(module);
        }
        Matcher layer = HUGGING_FACE.matcher(module);
        if (layer.matches()) {
            return Optional.ofNullable(BACK.get(layer.group(2) + "." + layer.group(3)))
                    .map(name -> "blocks." + Integer.parseInt(layer.group(1)) + "." + name);
        }
        return switch (module) {
            case "shared", "embed_tokens", "encoder.embed_tokens" -> Optional.of("token_embedding");
            case "final_layer_norm", "encoder.final_layer_norm" -> Optional.of("norm");
            default -> Optional.empty();
        };
    }

    /** Hugging Face's name of a module that has Wan's. */
    static String huggingFace(String wan) {
        Matcher layer = LAYER.matcher(wan);
        if (layer.matches()) {
            return "encoder.block." + layer.group(1) + ".layer."
                    + IN_LAYER.getOrDefault(layer.group(2), layer.group(2));
        }
        return wan.equals("norm") ? "encoder.final_layer_norm" : "shared";
    }

    /** Stored tensors, by Wan's name of the module and the leaf: {@code blocks.0.attn.q} and {@code weight}, or a scale's spelling. */
    record Stored(String module, String leaf, String prefix) {
        /** A stored name taken apart; empty if it belongs to no module of an encoder. */
        static Optional<Stored> of(String stored) {
            String name = NameParts.unwrapped(stored);
            int dot = name.lastIndexOf('.');
            if (dot < 0) {
                return Optional.empty();
            }
            String module = name.substring(0, dot);
            return NameParts.prefix(module, part -> wan(part).isPresent())
                    .map(prefix -> new Stored(
                            wan(module.substring(prefix.length())).orElseThrow(), name.substring(dot + 1), prefix));
        }

        boolean inDecoder() {
            return ("." + prefix).replace('/', '.').contains(".decoder.");
        }
    }

    /** The modules of an encoder, in order: Wan's names. */
    static SequencedMap<String, String> modules(int layers) {
        SequencedMap<String, String> all = new LinkedHashMap<>();
        all.put("token_embedding", huggingFace("token_embedding"));
        for (int layer = 0; layer < layers; layer++) {
            for (String module : inLayer()) {
                String name = "blocks." + layer + "." + module;
                all.put(name, huggingFace(name));
            }
        }
        all.put("norm", huggingFace("norm"));
        return all;
    }
}
