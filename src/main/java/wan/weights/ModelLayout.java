package wan.weights;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import wan.file.Contents;
import wan.file.Messages;
import wan.file.NameParts;
import wan.file.TensorStore;
import wan.op.FormatException;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * A model's parameters under their original names, in whatever layout they are stored. The layout is recognised by the names: what
 * stands before those of a model, whatever it is, is the longest prefix that leaves them.
 *
 * <ul>
 *   <li>dicts, of which a Self-Forcing checkpoint has {@code generator_ema} and {@code generator}, as the reference's trainer writes and
 *       {@code inference.py} reads them, other trainers {@code state_dict}, {@code module}, {@code ema} and the like;
 *   <li>names of modules around the model, {@code model.} in the reference, {@code model.diffusion_model.} in ComfyUI; and what FSDP,
 *       DistributedDataParallel, activation checkpointing and torch.compile insert anywhere;
 *   <li>Diffusers' names ({@code attn1.to_q}) instead of Wan2.1's.
 * </ul>
 *
 * <p>Of several models in a file, a moving average goes first, and critics and teachers are passed over. Names under the prefix that
 * belong to no parameter are kept, so that whoever checks the model sees them.
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

    private static final String COMFY_PREFIX = "model.diffusion_model.";
    private static final Set<String> USUAL_PREFIXES = Set.of("", COMFY_PREFIX, "diffusion_model.", "model.");
    private static final Pattern AVERAGED = Pattern.compile("(?i)(^|.*[./_-])(ema|averaged|swa)([./_-].*|$)");
    private static final Pattern GENERATOR = Pattern.compile("(?i)(^|.*[./_-])generator([./_-].*|$)");
    private static final Pattern NOT_GENERATING =
            Pattern.compile("(?i)(^|.*[./_-])(critic|fake|teacher|discriminator|guidance)([./_-].*|$)|.*real_score.*");

    private final TensorStore store;
    private final List<String> recognised = new ArrayList<>();
    private final List<String> notices = new ArrayList<>();
    private final SequencedMap<String, String> storedNames;

    private ModelLayout(TensorStore store, Branch branch) {
        this.store = store;
        // Stored name by the name so far.
        SequencedMap<String, String> names = new LinkedHashMap<>();
        store.names().forEach(name -> names.put(NameParts.unwrapped(name), name));
        List<String> prefixes = prefixes(names.keySet());
        storedNames =
                prefixes.isEmpty() ? withoutModel() : withOriginalNames(under(choose(prefixes, branch), prefixes));
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
    public Map<String, String> unreadable() {
        return store.unreadable();
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

    /** What stands before the names of a whole model: keys of dicts that end in {@code /}, names of modules that end in a dot. */
    private static List<String> prefixes(Set<String> names) {
        SequencedMap<String, Integer> matches = new LinkedHashMap<>();
        for (String name : names) {
            NameParts.prefix(name, ParameterNames::isKnown).ifPresent(prefix -> matches.merge(prefix, 1, Integer::sum));
        }
        return matches.keySet().stream()
                .filter(prefix -> 2L * matches.getOrDefault(prefix, 0)
                        >= names.stream()
                                .filter(name -> isUnder(prefix, name, matches.keySet()))
                                .count())
                .toList();
    }

    /** Whether a name lies under a prefix itself: neither in a dict further in, nor under a longer prefix. */
    private static boolean isUnder(String prefix, String name, Collection<String> prefixes) {
        return name.startsWith(prefix)
                && name.indexOf('/', prefix.length()) < 0
                && prefixes.stream().noneMatch(other -> other.length() > prefix.length() && name.startsWith(other));
    }

    /** The prefix of the weights that are asked for. */
    private String choose(List<String> all, Branch branch) {
        List<String> prefixes = all.stream()
                .filter(prefix -> !NOT_GENERATING.matcher(prefix).matches())
                .toList();
        List<String> averaged = prefixes.stream()
                .filter(prefix -> AVERAGED.matcher(prefix).matches())
                .toList();
        List<String> plain =
                prefixes.stream().filter(prefix -> !averaged.contains(prefix)).toList();
        boolean selfForcing =
                prefixes.stream().anyMatch(prefix -> GENERATOR.matcher(prefix).matches());
        List<String> chosen = branch == Branch.GENERATOR ? plain : averaged;
        if (chosen.isEmpty() && (branch == Branch.EMA_OR_GENERATOR || (branch == Branch.EMA && !selfForcing))) {
            chosen = plain;
            if (selfForcing) {
                notices.add(path() + ": has no generator_ema; using generator, as the reference does");
            }
        }
        if (chosen.isEmpty()) {
            throw WanException.mismatch(
                    path().toString(),
                    prefixes.isEmpty() ? "generator_ema, generator, model, or the parameters themselves" : branch.key,
                    "only " + shown(all),
                    prefixes.isEmpty()
                            ? ""
                            : branch == Branch.GENERATOR
                                    ? "leave out model.branch generator?"
                                    : "model.branch generator takes that");
        }
        String prefix = one(chosen);
        if (!selfForcing && averaged.contains(prefix) && !plain.isEmpty()) {
            notices.add(path() + ": using the moving average, " + prefix + "; model.branch generator takes "
                    + shown(plain));
        }
        return prefix;
    }

    private String one(List<String> prefixes) {
        List<String> best = prefixes.stream()
                .filter(prefix ->
                        prefixes.size() == 1 || GENERATOR.matcher(prefix).matches())
                .toList();
        if (best.size() != 1) {
            throw WanException.mismatch(
                    path().toString(),
                    "one model",
                    prefixes.size() + ", under "
                            + shown(prefixes.stream()
                                    .map(prefix -> prefix.isEmpty() ? "no prefix" : prefix)
                                    .toList()),
                    "save the intended one to a separate file");
        }
        return best.getFirst();
    }

    private static String shown(Collection<String> prefixes) {
        return Messages.shown(prefixes.stream()
                .map(prefix -> prefix.replaceFirst("[./]$", ""))
                .sorted()
                .collect(Collectors.joining(", ")));
    }

    /** Names without their prefix, in which nothing stands for a model's parameters: whoever checks the model says what they are. */
    private SequencedMap<String, String> withoutModel() {
        Contents contents = Contents.of(store.names());
        Set<String> dicts = store.names().stream()
                .filter(name -> name.contains("/"))
                .map(name -> name.substring(0, name.indexOf('/')))
                .collect(Collectors.toCollection(TreeSet::new));
        boolean onlyDicts = store.names().stream().allMatch(name -> name.contains("/"));
        if (onlyDicts && contents == Contents.UNKNOWN && !dicts.isEmpty()) {
            throw WanException.mismatch(
                    path().toString(),
                    "generator_ema, generator, model, or the parameters themselves",
                    shown(dicts),
                    "");
        }
        SequencedMap<String, String> names = new LinkedHashMap<>();
        store.names().forEach(name -> names.put(name, name));
        return names;
    }

    /** The names under a prefix, without it. */
    private SequencedMap<String, String> under(String prefix, Collection<String> prefixes) {
        String dict = prefix.substring(0, prefix.lastIndexOf('/') + 1);
        String modules = prefix.substring(dict.length());
        SequencedMap<String, String> inside = new LinkedHashMap<>();
        Set<String> wrappers = new HashSet<>();
        int outside = 0;
        for (String stored : store.names()) {
            String name = NameParts.unwrapped(stored);
            if (!isUnder(prefix, name, prefixes)) {
                outside += isUnder(dict, name, prefixes) ? 1 : 0;
                continue;
            }
            NameParts.WRAPPERS.stream()
                    .filter(wrapper -> ("." + stored).contains("." + wrapper))
                    .forEach(wrappers::add);
            put(inside, name.substring(prefix.length()), stored);
        }
        if (!dict.isEmpty()) {
            String named = dict.substring(0, dict.length() - 1);
            boolean selfForcing = named.equals("generator") || named.equals("generator_ema");
            recognised.add((selfForcing ? "Self-Forcing checkpoint, " : "parameters under ") + Messages.shown(named));
        }
        NameParts.WRAPPERS.stream().filter(wrappers::contains).forEach(wrapper -> recognised.add("without " + wrapper));
        if (!modules.isEmpty()) {
            recognised.add(
                    (modules.equals(COMFY_PREFIX) ? "ComfyUI file, prefix " : "prefix ") + Messages.shown(modules));
        }
        if (!USUAL_PREFIXES.contains(modules)) {
            notices.add(path() + ": the model's parameters are those under " + Messages.shown(prefix));
        }
        if (outside > 0) {
            // Such files may carry the text encoder and the VAE too.
            notices.add(path() + ": leaving out " + outside + " tensors that are not under " + Messages.shown(prefix));
        }
        return inside;
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
        names.forEach((name, stored) -> put(out, rename.apply(name), stored));
        return out;
    }

    private void put(SequencedMap<String, String> names, String name, String stored) {
        String other = names.put(name, stored);
        if (other != null) {
            throw new FormatException(
                    path(),
                    Messages.shown(other) + " and " + Messages.shown(stored) + " are both the parameter "
                            + Messages.shown(name));
        }
    }
}
