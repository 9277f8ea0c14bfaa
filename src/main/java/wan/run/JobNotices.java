package wan.run;

import java.nio.file.Path;
import java.util.List;
import wan.sampling.RunSettings;

/** What a user is told about a run before it starts. */
final class JobNotices {
    /** Latent frames that the published models are trained on, beyond which a run is meant to be long. */
    private static final int LONGEST_USUAL = 21;

    /** Frames of the video in one latent frame, but for the first. */
    private static final int VIDEO_FRAMES = 4;

    private JobNotices() {}

    /** Says what preset is used and what differs from it; or that the model looks like one of a preset. */
    static void preset(RunSpec spec, Preset.Sizes sizes, RunMonitor monitor) {
        String named = spec.model().preset();
        if (named != null) {
            Preset preset = Preset.named(named);
            monitor.notice("preset " + named + ": " + preset.title());
            preset.contradictions(spec).forEach(line -> monitor.notice("unlike preset " + named + ", " + line));
            return;
        }
        Path file = spec.model().checkpoint() != null
                ? spec.model().checkpoint()
                : spec.model().path();
        if (file == null || spec.noise().replay() != null) {
            return;
        }
        Preset.of(file).or(() -> Preset.of(sizes)).ifPresent(preset -> {
            preset.require();
            List<String> others = preset.contradictions(spec);
            if (!others.isEmpty()) {
                monitor.notice(file + " looks like a checkpoint of preset " + preset.name()
                        + ", whose settings differ, such as " + others.getFirst());
            }
        });
    }

    /** Says what the settings mean where a user may have meant something else. */
    static void oddities(RunSettings settings, RunMonitor monitor) {
        int frames = settings.numFrames();
        if (frames > LONGEST_USUAL && frames % VIDEO_FRAMES == 1) {
            int latent = (frames - 1) / VIDEO_FRAMES + 1;
            monitor.notice(frames + " latent frames are " + (VIDEO_FRAMES * (frames - 1) + 1)
                    + " frames of video; a video of " + frames + " frames is " + latent
                    + " latent frames: video.num_frames " + latent);
        }
        int leftOut = settings.numFrames() - settings.generatedFrames();
        if (leftOut > 0) {
            monitor.notice(settings.numFrames() + " frames do not fill frame blocks of " + settings.numFramePerBlock()
                    + (settings.independentFirstFrame() ? " after the first frame" : "") + ": the last " + leftOut
                    + " are left out; frame blocks " + settings.generatedBlockSizes());
        }
        int largest =
                settings.blockSizes().stream().mapToInt(Integer::intValue).max().orElse(0);
        if (settings.localAttnSize() != -1 && settings.sinkSize() + largest > settings.localAttnSize()) {
            monitor.notice("a sink of " + settings.sinkSize() + " and frame blocks of " + largest
                    + " frames exceed the window of "
                    + settings.localAttnSize() + ": the sink keeps "
                    + Math.max(0, settings.localAttnSize() - largest) + " frames, as in the reference");
        }
    }
}
