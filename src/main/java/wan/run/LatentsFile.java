package wan.run;

import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import wan.file.SafetensorsWriter;
import wan.op.DType;
import wan.op.HostTensor;
import wan.pass.Pass;
import wan.sampling.RunPlan;

/**
 * The file of {@link RunSpec.Output#latents}: tensor {@code output} and, if asked for, every pass's input {@code .in}, {@code .flow} and
 * {@code .x0}, and what a solver makes of them: {@code step{i}.v_guided}, {@code step{i}.latent_after}, ...
 */
final class LatentsFile implements AutoCloseable {
    private static final int HEADER_BYTES_PER_PASS = 640;

    private final SafetensorsWriter writer;
    private final boolean passes;

    LatentsFile(Path target, RunPlan plan, boolean passes) {
        this.writer = SafetensorsWriter.create(target, (plan.passes().size() + 1L) * HEADER_BYTES_PER_PASS + 2048);
        this.passes = passes;
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
        writer.finish(metadata);
    }

    private void write(String name, HostTensor tensor) {
        writer.add(name, DType.F32, tensor.shape()).write(tensor.values());
    }

    @Override
    public void close() {
        writer.close();
    }
}
