package wan.run;

import java.util.Map;
import org.jspecify.annotations.Nullable;
import wan.file.PartialTensors;
import wan.op.DType;
import wan.op.HostTensor;
import wan.pass.Pass;
import wan.sampling.RunPlan;

/**
 * The file of {@link RunSpec.Output#latents}: tensor {@code output} and, if asked for, every pass's input {@code .in}, {@code .flow} and
 * {@code .x0}, and what a solver makes of them: {@code step{i}.v_guided}, {@code step{i}.latent_after}, ...
 */
final class LatentsFile {
    private static final long HEADER_BYTES_PER_PASS = 640;

    private final PartialTensors tensors;
    private final boolean passes;

    /**
     * Goes on with what is in it.
     *
     * @param tensors where they are kept until the file is whole; closed by whoever opened it
     * @param passes whether those of every pass are wanted
     */
    LatentsFile(PartialTensors tensors, boolean passes) {
        this.tensors = tensors;
        this.passes = passes;
    }

    /** Room for the header. */
    static long headerBytes(RunPlan plan) {
        return (plan.passes().size() + 1) * HEADER_BYTES_PER_PASS + 2048;
    }

    void passDone(Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {
        if (passes) {
            write(pass.id() + ".in", latents);
        }
        if (passes && flow != null && x0 != null) {
            write(pass.id() + ".flow", flow);
            write(pass.id() + ".x0", x0);
        }
    }

    void tensor(String name, HostTensor value) {
        if (passes) {
            write(name, value);
        }
    }

    void finish(HostTensor output, Map<String, String> metadata) {
        write("output", output);
        tensors.finish(metadata);
    }

    private void write(String name, HostTensor tensor) {
        tensors.writer().add(name, DType.F32, tensor.shape()).write(tensor.values());
    }
}
