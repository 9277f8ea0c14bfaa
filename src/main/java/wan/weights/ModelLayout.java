package wan.weights;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import wan.file.Messages;
import wan.file.TensorStore;
import wan.op.FormatException;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * A model's parameters under their original names, in whatever layout they are stored. The layout is recognised by the names:
 *
 * <ul>
 *   <li>a Self-Forcing checkpoint: dicts {@code generator_ema} and {@code generator}, or {@code model}, or the parameters themselves;
 *       the reference's trainer and {@code inference.py} read these;
 *   <li>prefixes: what FSDP, activation checkpointing and torch.compile insert, {@code model.} as the reference's wrapper has it,
 *       {@code model.diffusion_model.} as ComfyUI has it;
 *   <li>Diffusers' names ({@code attn1.to_q}) instead of Wan2.1's.
 * </ul>
 *
 * <p>Names that belong to no parameter are kept as they are, so that whoever checks the model sees them.
 */
public final class ModelLayout implements TensorStore {
    /** Which of a Self-Forcing checkpoint's weights; makes no difference to other files. */
    public enum Branch {
        /** The moving average, or the plain weights if there is none: what the reference's extraction script does. */
        EMA_OR_GENERATOR("generator_ema"),
        /** The moving average and nothing else. */
        EMA("generator_ema"),
        /** The plain weights and nothing else. */
        GENERATOR("generator");

        private final String key;

        Branch(String key) {
            this.key = key;
        }
    }

    private static final List<String> WRAPPERS =
            List.of("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.");
    private static final String WEIGHTS = "weights";
    private static final String COMFY_PREFIX = "model.diffusion_model.";
    private static final List<String> PREFIXES = List.of(COMFY_PREFIX, "diffusion_model.", "model.");

    private final TensorStore store;
    private final List<String> recognised = new ArrayList<>();
    private final List<String> notices = new ArrayList<>();
    private final SequencedMap<String, String> storedNames;

    private ModelLayout(TensorStore store, Branch branch) {
        this.store = store;
        // Stored name by the name so far.
        SequencedMap<String, String> names = new LinkedHashMap<>();
        store.names().forEach(name -> names.put(name, name));
        storedNames = withOriginalNames(withoutPrefix(withoutWrappers(inDict(names, branch))));
        if (recognised.isEmpty()) {
            recognised.add("Wan2.1's own names");
        }
    }

    /** {@link #of(TensorStore, Branch)}, with the moving average if there is one. */
    public static ModelLayout of(TensorStore store) {
        return of(store, Branch.EMA_OR_GENERATOR);
    }

    /**
     * Recognises a layout.
     *
     * @param store closed with the result
     * @throws WanException if a checkpoint lacks the weights asked for
     * @throws FormatException if two tensors turn out to be the same parameter
     */
    public static ModelLayout of(TensorStore store, Branch branch) {
        return new ModelLayout(store, branch);
    }

    /** What was recognised, for people: {@code Self-Forcing checkpoint, generator_ema; prefix model.} */
    public String description() {
        return String.join("; ", recognised);
    }

    /** What a user should know, one line each; usually nothing. */
    public List<String> notices() {
        return List.copyOf(notices);
    }

    /** The name in the file of a parameter. */
    public String storedName(String name) {
        String stored = storedNames.get(name);
        if (stored == null) {
            throw new WanException(path() + ": no tensor " + Messages.shown(name) + Messages.didYouMean(name, names()));
        }
        return stored;
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(storedNames.sequencedKeySet());
    }

    @Override
    public TensorView tensor(String name) {
        TensorView view = store.tensor(storedName(name));
        return new TensorView(name, view.dtype(), view.shape(), view.data());
    }

    @Override
    public Map<String, String> metadata() {
        return store.metadata();
    }

    @Override
    public Path path() {
        return store.path();
    }

    @Override
    public void close() {
        store.close();
    }

    // ---- recognition, step by step

    private SequencedMap<String, String> inDict(SequencedMap<String, String> names, Branch branch) {
        Set<String> dicts = names.keySet().stream()
                .filter(name -> name.contains("/"))
                .map(name -> name.substring(0, name.indexOf('/')))
                .collect(Collectors.toCollection(TreeSet::new));
        boolean selfForcing = dicts.contains("generator") || dicts.contains("generator_ema");
        String dict;
        if (selfForcing && dicts.contains(branch.key)) {
            dict = branch.key;
        } else if (selfForcing && branch == Branch.EMA_OR_GENERATOR) {
            dict = "generator";
            notices.add(path() + ": has no generator_ema; using generator, as the reference does");
        } else if (selfForcing) {
            throw WanException.mismatch(
                    path().toString(),
                    branch.key,
                    "only " + shown(dicts),
                    branch == Branch.GENERATOR
                            ? "leave out model.branch generator?"
                            : "model.branch generator takes that");
        } else if (dicts.contains("model")) {
            dict = "model";
        } else if (dicts.contains(WEIGHTS)) {
            dict = WEIGHTS; // beside the tensors of a recorded run
        } else if (dicts.isEmpty() || names.keySet().stream().anyMatch(name -> !name.contains("/"))) {
            return names;
        } else {
            throw WanException.mismatch(
                    path().toString(),
                    "generator_ema, generator, model, or the parameters themselves",
                    shown(dicts),
                    "");
        }
        recognised.add(selfForcing ? "Self-Forcing checkpoint, " + dict : "parameters under " + dict);
        SequencedMap<String, String> inside = new LinkedHashMap<>();
        names.forEach((name, stored) -> {
            if (name.startsWith(dict + "/")) {
                inside.put(name.substring(dict.length() + 1), stored);
            }
        });
        return inside;
    }

    private static String shown(Collection<String> names) {
        return Messages.shown(String.join(", ", names));
    }

    private SequencedMap<String, String> withoutWrappers(SequencedMap<String, String> names) {
        for (String wrapper : WRAPPERS) {
            if (names.keySet().stream().anyMatch(name -> name.contains(wrapper))) {
                recognised.add("without " + wrapper);
            }
        }
        return renamed(names, name -> {
            String bare = name;
            for (String wrapper : WRAPPERS) {
                bare = bare.replace(wrapper, "");
            }
            return bare;
        });
    }

    private SequencedMap<String, String> withoutPrefix(SequencedMap<String, String> names) {
        for (String prefix : PREFIXES) {
            long with = names.keySet().stream()
                    .filter(name -> name.startsWith(prefix))
                    .count();
            if (with == 0 || (with < names.size() && !prefix.equals(COMFY_PREFIX))) {
                continue;
            }
            recognised.add((prefix.equals(COMFY_PREFIX) ? "ComfyUI file, prefix " : "prefix ") + prefix);
            if (with < names.size()) {
                // Such files may carry the text encoder and the VAE too.
                notices.add(
                        path() + ": leaving out " + (names.size() - with) + " tensors that are not under " + prefix);
            }
            SequencedMap<String, String> inside = new LinkedHashMap<>();
            names.forEach((name, stored) -> {
                if (name.startsWith(prefix)) {
                    inside.put(name.substring(prefix.length()), stored);
                }
            });
            return inside;
        }
        return names;
    }

    private SequencedMap<String, String> withOriginalNames(SequencedMap<String, String> names) {
        if (names.keySet().stream()
                .noneMatch(name -> name.startsWith("condition_embedder.") || name.contains(".attn1."))) {
            return names;
        }
        recognised.add("Diffusers' names");
        return renamed(names, name -> ParameterNames.original(name).orElse(name));
    }

    private SequencedMap<String, String> renamed(SequencedMap<String, String> names, UnaryOperator<String> rename) {
        SequencedMap<String, String> out = new LinkedHashMap<>();
        names.forEach((name, stored) -> {
            String other = out.put(rename.apply(name), stored);
            if (other != null) {
                throw new FormatException(
                        path(),
                        Messages.shown(other) + " and " + Messages.shown(stored) + " are both the parameter "
                                + Messages.shown(rename.apply(name)));
            }
        });
        return out;
    }
}
