package arch.bad.wan.model;

import arch.bad.wan.app.Command;
import java.lang.foreign.Arena;
import java.util.logging.Logger;
import jdk.incubator.vector.FloatVector;
import wan.op.Dyn;

/** A model that does what a model must not. */
public final class Layer {
    /** The other half of a cycle, and the wrong direction. */
    public Command command() {
        return new Command();
    }

    /** A kernel outside the backend. */
    public int lanes() {
        return FloatVector.SPECIES_PREFERRED.length();
    }

    /** A branch on what changes from step to step. */
    public int frame(Dyn start) {
        return start.get(0);
    }

    /** Memory whose end nobody knows. */
    public Arena arena() {
        return Arena.ofAuto();
    }

    /** An option, which only the command line has. */
    public String hint() {
        return "use --layer 3";
    }

    /** Digits of the user's language. */
    public String name(int layer) {
        return "layer %d".formatted(layer);
    }

    /** Output and an end that belong to the command line. */
    public void stop() {
        System.out.println("stopped");
        Logger.getAnonymousLogger().info("stopped");
        System.exit(3);
    }
}
