package wan.video;

import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import wan.file.SafetensorsWriter;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.WanException;

/** Tensor {@code video} [F, 3, H, W] in float32. */
final class TensorSink implements VideoSink {
    static final String TENSOR = "video";

    private static final int HEADER_BYTES = 1024;

    private final SafetensorsWriter writer;
    private final int frames;
    private SafetensorsWriter.@Nullable Region region;
    private int written;

    TensorSink(Path target, int frames) {
        writer = SafetensorsWriter.create(target, HEADER_BYTES);
        this.frames = frames;
    }

    @Override
    public void frame(HostTensor frame) {
        Shape shape = frame.shape();
        SafetensorsWriter.Region all = region;
        if (all == null) {
            all = writer.add(TENSOR, DType.F32, Shape.of(frames, shape.dim(0), shape.dim(1), shape.dim(2)));
            region = all;
        }
        all.write(written * shape.size(), frame.values());
        written++;
    }

    @Override
    public boolean mayEndEarly() {
        return false;
    }

    @Override
    public void finish() {
        if (written != frames) {
            throw WanException.mismatch("video", frames + " frames", written, "");
        }
        writer.finish(Map.of());
    }

    @Override
    public void close() {
        writer.close();
    }
}
