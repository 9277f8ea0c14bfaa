package wan.video;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.jcodec.api.FrameGrab;
import org.jcodec.api.JCodecException;
import org.jcodec.common.io.FileChannelWrapper;
import org.jcodec.common.model.ColorSpace;
import org.jcodec.common.model.Picture;
import wan.file.Messages;
import wan.file.TensorStore;
import wan.op.FormatException;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/** Reads the frames of a video: pictures, a folder of pictures, MP4, safetensors, or whatever ffmpeg reads. */
public final class VideoSource {
    private static final Set<String> PICTURES = Set.of("png", "jpg", "jpeg", "bmp", "gif");

    private VideoSource() {}

    /**
     * Reads a video frame by frame.
     *
     * @param path a picture, a folder of pictures in the order of their names, a safetensors file with tensor {@code video} [F, 3, H,
     *     W] of values from -1 to 1, an MP4 file, or whatever ffmpeg reads where it is on the PATH
     * @param frames told of each frame, [3, rows, columns]
     */
    public static void read(Path path, Consumer<HostTensor> frames) {
        if (Files.isDirectory(path)) {
            for (Path picture : pictures(path)) {
                frames.accept(picture(picture).toTensor());
            }
            return;
        }
        Messages.requireFile(path);
        String ending = ending(path);
        if (PICTURES.contains(ending)) {
            frames.accept(picture(path).toTensor());
        } else if (ending.equals("safetensors")) {
            tensor(path, frames);
        } else if (Ffmpeg.program().isPresent() || !ending.equals("mp4")) {
            Ffmpeg.read(path, ending, frame -> frames.accept(frame.toTensor()));
        } else {
            mp4(path, frames);
        }
    }

    private static String ending(Path file) {
        String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
        return name.substring(name.lastIndexOf('.') + 1);
    }

    private static List<Path> pictures(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            List<Path> pictures = files.filter(file -> PICTURES.contains(ending(file)))
                    .sorted()
                    .toList();
            if (pictures.isEmpty()) {
                throw WanException.mismatch(folder.toString(), "pictures (PNG, JPEG)", "none", "");
            }
            return pictures;
        } catch (IOException e) {
            throw Messages.io(folder, "cannot read", e);
        }
    }

    private static RgbFrame picture(Path file) {
        try {
            BufferedImage image = ImageIO.read(file.toFile());
            if (image == null) {
                throw new FormatException(file, "is not a picture that Java can read");
            }
            return RgbFrame.of(image);
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }

    private static void tensor(Path file, Consumer<HostTensor> frames) {
        try (TensorStore store = TensorStore.open(file)) {
            TensorView view = store.tensor(TensorSink.TENSOR);
            Shape shape = view.shape();
            if (shape.rank() != 4 || shape.dim(1) != 3) {
                throw WanException.mismatch(file + ": " + view.name(), "[frames, 3, rows, columns]", shape, "");
            }
            float[] values = view.toFloats();
            Shape frame = Shape.of(3, shape.dim(2), shape.dim(3));
            for (int i = 0; i < shape.dim(0); i++) {
                frames.accept(new HostTensor(
                        frame, Arrays.copyOfRange(values, i * frame.intSize(), (i + 1) * frame.intSize())));
            }
        }
    }

    /** By JCodec, which knows H.264. */
    static void mp4(Path file, Consumer<HostTensor> frames) {
        try (FileChannel channel = FileChannel.open(file)) {
            FrameGrab grab = FrameGrab.createFrameGrab(new FileChannelWrapper(channel));
            Picture picture = grab.getNativeFrame();
            while (picture != null) {
                if (picture.getColor() != ColorSpace.YUV420 && picture.getColor() != ColorSpace.YUV420J) {
                    throw WanException.mismatch(file.toString(), "4:2:0 colours", picture.getColor(), "");
                }
                frames.accept(Yuv.toRgb(picture).toTensor());
                picture = grab.getNativeFrame();
            }
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        } catch (JCodecException | RuntimeException e) {
            if (e instanceof WanException known) {
                throw known;
            }
            throw new FormatException(file, "JCodec cannot read it; ffmpeg on the PATH would be asked first", e);
        }
    }
}
