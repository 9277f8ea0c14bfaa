package wan.file;

import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** The paths under which tensors are stored: keys of dicts that end in {@code /}, names of modules that end in a dot. */
public final class NameParts {
    /** What training puts between names: FSDP, activation checkpointing, torch.compile, DistributedDataParallel. */
    public static final List<String> WRAPPERS =
            List.of("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.", "module.");

    private static final Pattern WRAPPER = Pattern.compile(
            "(?<![^./])(?:" + WRAPPERS.stream().map(Pattern::quote).collect(Collectors.joining("|")) + ")");

    private NameParts() {}

    /** A name without what training puts between its parts. */
    public static String unwrapped(String name) {
        return WRAPPER.matcher(name).replaceAll("");
    }

    /** What stands before the longest known name that ends one; empty if none does. */
    public static Optional<String> prefix(String name, Predicate<String> known) {
        for (int at = 0; at >= 0; at = next(name, at)) {
            if (known.test(name.substring(at))) {
                return Optional.of(name.substring(0, at));
            }
        }
        return Optional.empty();
    }

    /** Where the next part begins; -1 behind the last one. */
    private static int next(String name, int at) {
        for (int i = at; i < name.length(); i++) {
            if (name.charAt(i) == '.' || name.charAt(i) == '/') {
                return i + 1;
            }
        }
        return -1;
    }
}
