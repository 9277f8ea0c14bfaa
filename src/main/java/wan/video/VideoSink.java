package wan.video;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import wan.op.HostTensor;
import wan.op.UsageException;

/** Where the frames of a video go, one after the other. Closed without {@link #finish}, it leaves nothing behind. */
public interface VideoSink extends AutoCloseable {
    /** Frames per second of Wan's videos. */
    int FRAMES_PER_SECOND = 16;

    /**
     * The next frame.
     *
     * @param frame [3, rows, columns], values about -1 to 1; all frames are of one size
     */
    void frame(HostTensor frame);

    /** Puts the video in its place. */
    void finish();

    /** Whether it can be finished with fewer frames than were announced. */
    default boolean mayEndEarly() {
        return true;
    }

    @Override
    void close();

    /**
     * A sink that the name chooses: {@code .mp4}; {@code .safetensors}, tensor {@code video} [F, 3, H, W] as it is decoded, not
     * clamped; a folder or a name without an ending, numbered PNG files; any other ending is left to ffmpeg.
     *
     * @param frames how many frames there will be
     * @param rate frames per second
     * @throws UsageException if the ending is for ffmpeg, and there is none on the PATH
     */
    static VideoSink open(Path target, int frames, int rate) {
        String name = String.valueOf(target.getFileName()).toLowerCase(Locale.ROOT);
        int dot = name.lastIndexOf('.');
        String ending = dot <= 0 || Files.isDirectory(target) ? "" : name.substring(dot + 1);
        return switch (ending) {
            case "" -> new PictureFolderSink(target, frames);
            case "mp4" -> new Mp4Sink(target, rate);
            case "safetensors" -> new TensorSink(target, frames);
            default -> Ffmpeg.sink(target, ending, rate);
        };
    }
}
