package wan.video;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import wan.file.Messages;
import wan.op.HostTensor;
import wan.op.UsageException;
import wan.op.WanException;

/** The program ffmpeg, where it is on the PATH, for formats that Java does not know. */
final class Ffmpeg {
    private static final Pattern SIZE = Pattern.compile("Video:.*?\\b(\\d{1,5})x(\\d{1,5})\\b");

    private Ffmpeg() {}

    /** The program, if it is on the PATH. */
    static Optional<Path> program() {
        for (String folder : System.getenv().getOrDefault("PATH", "").split(File.pathSeparator, -1)) {
            Path program = Path.of(folder.isEmpty() ? "." : folder, "ffmpeg");
            if (Files.isExecutable(program) && Files.isRegularFile(program)) {
                return Optional.of(program);
            }
        }
        return Optional.empty();
    }

    private static Path required(Path file, String ending) {
        return program()
                .orElseThrow(() -> new UsageException(file + ": expected .mp4, .safetensors or a folder, got ." + ending
                        + ", which needs ffmpeg on the PATH"));
    }

    static VideoSink sink(Path target, String ending, int rate) {
        return new Sink(required(target, ending), target, ending, rate);
    }

    /** Frames go to ffmpeg as bare bytes. */
    private static final class Sink implements VideoSink {
        private final Path program;
        private final Path target;
        private final Path temporary;
        private final int rate;
        private @Nullable Process process;
        private @Nullable OutputStream frames;

        Sink(Path program, Path target, String ending, int rate) {
            this.program = program;
            this.target = target;
            this.rate = rate;
            try {
                Path folder = target.toAbsolutePath().getParent();
                temporary = Files.createTempFile(folder, target.getFileName() + ".", ".tmp." + ending);
            } catch (IOException e) {
                throw Messages.io(target, "cannot write", e);
            }
        }

        @Override
        public void frame(HostTensor tensor) {
            RgbFrame frame = RgbFrame.of(tensor);
            try {
                OutputStream to = frames;
                if (to == null) {
                    process = start(frame);
                    to = new BufferedOutputStream(process.getOutputStream(), 1 << 20);
                    frames = to;
                }
                to.write(frame.rgb());
            } catch (IOException e) {
                throw new WanException(target + ": ffmpeg could not take a frame: " + error(), e);
            }
        }

        private Process start(RgbFrame frame) throws IOException {
            List<String> command = new ArrayList<>(List.of(program.toString(), "-v", "error", "-y"));
            command.addAll(List.of("-f", "rawvideo", "-pix_fmt", "rgb24"));
            command.addAll(List.of("-s", frame.width() + "x" + frame.height(), "-r", String.valueOf(rate)));
            command.addAll(List.of("-i", "-", temporary.toString()));
            return new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.to(log().toFile()))
                    .start();
        }

        private Path log() {
            return temporary.resolveSibling(temporary.getFileName() + ".log");
        }

        private String error() {
            try {
                return Messages.shown(Files.readString(log()).strip());
            } catch (IOException e) {
                return String.valueOf(e.getMessage());
            }
        }

        @Override
        public void finish() {
            try {
                Process running = process;
                if (running == null || frames == null) {
                    throw WanException.mismatch(target.toString(), "frames", "none", "");
                }
                frames.close();
                if (running.waitFor() != 0) {
                    throw new WanException(target + ": ffmpeg failed: " + error());
                }
                Files.move(temporary, target, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
            } catch (IOException e) {
                throw new WanException(target + ": ffmpeg failed: " + error(), e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new WanException(target + ": interrupted while ffmpeg was writing", e);
            }
        }

        @Override
        public void close() {
            if (process != null) {
                process.destroy();
            }
            try {
                Files.deleteIfExists(temporary);
                Files.deleteIfExists(log());
            } catch (IOException e) {
                throw Messages.io(temporary, "cannot remove", e);
            }
        }
    }

    /** Reads a video that Java does not know, frame by frame. */
    static void read(Path file, String ending, Consumer<RgbFrame> frames) {
        String program = required(file, ending).toString();
        try {
            Process probe = new ProcessBuilder(program, "-hide_banner", "-i", file.toString())
                    .redirectErrorStream(true)
                    .start();
            String description;
            try (InputStream in = probe.getInputStream()) {
                description = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            }
            Matcher size = SIZE.matcher(description);
            if (!size.find()) {
                throw new WanException(file + ": ffmpeg finds no video in it");
            }
            int width = Integer.parseInt(size.group(1));
            int height = Integer.parseInt(size.group(2));
            Process process = new ProcessBuilder(
                            program, "-v", "quiet", "-i", file.toString(), "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
                    .start();
            try (DataInputStream in = new DataInputStream(process.getInputStream())) {
                byte[] rgb = in.readNBytes(3 * width * height);
                while (rgb.length == 3 * width * height) {
                    frames.accept(new RgbFrame(width, height, rgb));
                    rgb = in.readNBytes(3 * width * height);
                }
            } finally {
                process.destroy();
            }
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }
}
