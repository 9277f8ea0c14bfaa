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

    /** Why this process cannot call it, or empty: we call cuBLAS ourselves, cuDNN by a module of SDKs with the CUDA backend. */
    String problem() {
        if (this == CUBLAS) {
            return CublasLt.problem();
        }
        String module = "tornado." + option();
        return ModuleLayer.boot().findModule(module).isPresent()
                ? ""
                : title() + ": expected a TornadoVM SDK with the module " + module + ", got one without";
    }
}
