package wan.video;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import wan.file.Messages;
import wan.file.OutputFile;
import wan.op.HostTensor;

/** Numbered PNG files in a folder, each in its place as soon as it is whole. Other files in the folder stay. */
final class PictureFolderSink implements VideoSink {
    private final Path folder;
    private final int digits;
    private int written;

    PictureFolderSink(Path folder, int frames) {
        this.folder = folder;
        digits = Math.max(4, String.valueOf(frames).length());
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw Messages.io(folder, "cannot write", e);
        }
    }

    @Override
    public void frame(HostTensor frame) {
        String number = "0".repeat(digits) + written++;
        String name = number.substring(number.length() - digits) + ".png";
        OutputFile.write(
                folder.resolve(name), out -> ImageIO.write(RgbFrame.of(frame).toImage(), "png", out));
    }

    @Override
    public void finish() {}

    @Override
    public void close() {}
}
