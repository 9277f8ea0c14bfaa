package tornado;

import java.util.Locale;

/** NVIDIA's libraries that can be called on a device of TornadoVM's CUDA backend. */
public enum Library {
    /** Linear layers. */
    CUBLAS("cuBLAS", "linear"),
    /** Attention over keys and values of float16. */
    CUDNN("cuDNN", "attention");

    private final String title;
    private final String op;

    Library(String title, String op) {
        this.title = title;
        this.op = op;
    }

    /** As {@code --libraries} takes it. */
    public String option() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** As its makers write it. */
    public String title() {
        return title;
    }

    /** How the operations begin that it does. */
    public String op() {
        return op;
    }

    /** Why this process cannot call it, or empty. */
    String problem() {
        return this == CUBLAS ? CublasLt.problem() : Cudnn.problem();
    }
}
