package wan.edit;

import java.util.List;
import java.util.Locale;
import wan.op.UsageException;
import wan.op.WanException;
import wan.pass.PassId;

/**
 * A choice of passes: labels such as {@code block1.step0}, kinds ({@code denoise}, {@code context}, {@code init}, ...), steps
 * ({@code step0}) and branches ({@code cond}, {@code uncond}); a pass is chosen if one of them fits. An empty list means all
 * passes.
 */
public record Passes(List<String> names) {
    /** Every pass. */
    public static final Passes ALL = new Passes(List.of());

    /** Checks the names. */
    public Passes {
        names = List.copyOf(names);
        names.forEach(Passes::check);
    }

    private static void check(String name) {
        if (isStep(name) || isKind(name) || isBranch(name)) {
            return;
        }
        try {
            PassId _ = PassId.parse(name);
        } catch (WanException e) {
            throw new UsageException("edit, passes: expected names such as block1.step0, step0, denoise, context or"
                    + " cond, got \"" + name + "\"");
        }
    }

    private static boolean isStep(String name) {
        return name.matches("step\\d{1,6}");
    }

    private static boolean isKind(String name) {
        for (PassId.Kind kind : PassId.Kind.values()) {
            if (kind.name().toLowerCase(Locale.ROOT).equals(name)) {
                return true;
            }
        }
        return false;
    }

    private static boolean isBranch(String name) {
        return name.equals("cond") || name.equals("uncond");
    }

    /** Whether a pass is chosen. */
    public boolean contains(PassId pass) {
        return names.isEmpty() || names.stream().anyMatch(name -> fits(name, pass));
    }

    private static boolean fits(String name, PassId pass) {
        return pass.label().equals(name)
                || pass.kind().name().toLowerCase(Locale.ROOT).equals(name)
                || pass.branch().name().toLowerCase(Locale.ROOT).equals(name)
                || (isStep(name) && pass.denoises() && ("step" + pass.step()).equals(name));
    }
}
