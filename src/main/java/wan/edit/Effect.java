package wan.edit;

import capture.Indices;
import java.nio.file.Path;
import wan.op.Site;
import wan.op.UsageException;

/** The effect of an intervention. */
public sealed interface Effect {
    /** Its name in plans. */
    String name();

    /** Changes what the softmax sees or gives, in the attention itself. */
    sealed interface OnAttention extends Effect {}

    /** Changes activations at a site. */
    sealed interface OnSite extends Effect {
        /** Where, for self-attention. */
        Site site();
    }

    /** The heads give zeros; the bias of the output projection remains. */
    record Zero() implements OnAttention {
        @Override
        public String name() {
            return "zero";
        }
    }

    /** The heads' outputs are multiplied. */
    record Scale(float value) implements OnAttention {
        public Scale {
            require(Float.isFinite(value), "scale", "a finite value", value);
        }

        @Override
        public String name() {
            return "scale";
        }
    }

    /** Logits are divided by the value. */
    record Temperature(float value) implements OnAttention {
        public Temperature {
            require(value > 0 && value < Float.POSITIVE_INFINITY, "temperature", "a value above 0", value);
        }

        @Override
        public String name() {
            return "temperature";
        }
    }

    /**
     * A value is added to the logits of some keys.
     *
     * @param frames absolute frames of keys of self-attention
     * @param tokens tokens of these frames, or of the text in cross-attention
     * @param value minus infinity blocks them
     */
    record Bias(Indices frames, Indices tokens, float value) implements OnAttention {
        public Bias {
            require(value < Float.POSITIVE_INFINITY, "bias", "a value below infinity", value);
        }

        @Override
        public String name() {
            return value == Float.NEGATIVE_INFINITY ? "block" : "bias";
        }
    }

    /**
     * Keys of other frames than these are blocked: the first ones, the last before the pass's first frame, and the pass's own.
     *
     * @param sink how many of the first
     * @param window how many of the last
     */
    record Keep(int sink, int window) implements OnAttention {
        public Keep {
            require(sink >= 0 && window >= 0, "keep", "a sink and a window of at least 0", Math.min(sink, window));
        }

        @Override
        public String name() {
            return "keep";
        }
    }

    /**
     * The heads' outputs become their mean over the query tokens.
     *
     * @param perFrame over those of the same frame only
     */
    record Mean(boolean perFrame) implements OnSite {
        @Override
        public String name() {
            return perFrame ? "mean_frame" : "mean";
        }

        @Override
        public Site site() {
            return Site.Z;
        }
    }

    /**
     * Activations are replaced by those of a recorded run.
     *
     * @param from the recording
     * @param prefix before the names of its tensors
     */
    record Patch(Site site, Path from, String prefix) implements OnSite {
        @Override
        public String name() {
            return "patch";
        }
    }

    /**
     * A vector is added to each row.
     *
     * @param from a safetensors file
     * @param tensor its tensor, [chosen heads * d] or [d] for each head, or [dim]
     * @param value what the vector is multiplied with
     */
    record Add(Site site, Path from, String tensor, float value) implements OnSite {
        public Add {
            require(Float.isFinite(value), "add", "a finite value", value);
        }

        @Override
        public String name() {
            return "add";
        }
    }

    /**
     * Independent Gaussian noise is added to each value.
     *
     * @param value its standard deviation
     * @param seed of the random numbers, which also depend on pass, layer, site and head
     */
    record Noise(Site site, float value, long seed) implements OnSite {
        public Noise {
            require(value >= 0 && value < Float.POSITIVE_INFINITY, "noise", "a value of at least 0", value);
        }

        @Override
        public String name() {
            return "noise";
        }
    }

    private static void require(boolean holds, String effect, String expected, float got) {
        if (!holds) {
            throw new UsageException("edit " + effect + ": expected " + expected + ", got " + got);
        }
    }
}
