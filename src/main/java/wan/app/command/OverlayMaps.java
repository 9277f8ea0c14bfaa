package wan.app.command;

import capture.figures.ColourScale;
import capture.figures.Figure;
import capture.figures.FigureFrame;
import capture.figures.Pictures;
import capture.figures.TokenFigures;
import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import wan.op.WanException;
import wan.vae.VaeDecoder;
import wan.video.RgbFrame;
import wan.video.VideoSink;
import wan.video.VideoSource;

/**
 * Maps of tokens over the frames of a video.
 *
 * @param title what they are of
 * @param what a name for the values
 * @param numbers latent frames, ascending
 * @param values [frames, rows, cols]; shown are their differences from the mean of the finite ones, because softmax depends on
 *     nothing else
 * @param video the run's video
 */
@SuppressWarnings("ArrayRecordComponent") // arguments under one name, never compared
record OverlayMaps(String title, String what, List<Integer> numbers, int rows, int cols, double[] values, Path video) {
    /** The width of a picture in a figure. */
    private static final int MOST_WIDTH = 480;

    OverlayMaps {
        double sum = 0;
        int count = 0;
        for (double value : values) {
            if (Double.isFinite(value)) {
                sum += value;
                count++;
            }
        }
        for (int i = 0; i < values.length; i++) {
            values[i] -= sum / Math.max(1, count);
        }
    }

    /** A contact sheet: of each latent frame the last frame of the video that it gives. */
    Figure figure(FigureFrame frame) {
        Map<Integer, BufferedImage> pictures = new TreeMap<>();
        read((number, picture) -> pictures.put(number, picture));
        return TokenFigures.overlays(frame, title, what, numbers, List.copyOf(pictures.values()), rows, cols, values);
    }

    /** The video with the maps over it: the frames that the latent frames give, the others left out. */
    void write(Path out) {
        ColourScale scale = ColourScale.of(true, values);
        int frames = numbers.stream()
                .mapToInt(number -> number == 0 ? 1 : VaeDecoder.TIME)
                .sum();
        try (VideoSink sink = VideoSink.open(out, frames, VideoSink.FRAMES_PER_SECOND)) {
            read((number, picture) -> sink.frame(RgbFrame.of(
                            Pictures.overlay(picture, rows, cols, values, numbers.indexOf(number) * rows * cols, scale))
                    .toTensor()));
            sink.finish();
        }
    }

    /** Hands on every frame of the video that belongs to one of the latent frames. */
    private void read(BiConsumer<Integer, BufferedImage> frames) {
        int[] seen = {0};
        VideoSource.read(video, frame -> {
            int number = (seen[0]++ + VaeDecoder.TIME - 1) / VaeDecoder.TIME;
            if (numbers.contains(number)) {
                BufferedImage picture = RgbFrame.of(frame).toImage();
                int width = Math.min(MOST_WIDTH, picture.getWidth());
                frames.accept(number, Pictures.scaled(picture, width));
            }
        });
        int needed = VaeDecoder.frames(numbers.getLast() + 1);
        if (seen[0] < needed) {
            throw WanException.mismatch(
                    video.toString(),
                    needed + " frames or more, for latent frame " + numbers.getLast(),
                    seen[0],
                    "is it the video of this run?");
        }
    }
}
