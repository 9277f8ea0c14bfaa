package tornado;

import java.util.Locale;

/** NVIDIA's libraries that TornadoVM's CUDA backend can call. */
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

    /** TornadoVM's module for it, which only SDKs with the CUDA backend have. */
    String module() {
        return "tornado." + option();
    }
}
