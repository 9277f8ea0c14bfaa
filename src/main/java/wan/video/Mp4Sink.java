package wan.video;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.jcodec.codecs.h264.H264Encoder;
import org.jcodec.codecs.h264.encode.RateControl;
import org.jcodec.codecs.h264.io.model.SliceType;
import org.jcodec.common.Codec;
import org.jcodec.common.MuxerTrack;
import org.jcodec.common.VideoCodecMeta;
import org.jcodec.common.VideoEncoder;
import org.jcodec.common.io.FileChannelWrapper;
import org.jcodec.common.model.ColorSpace;
import org.jcodec.common.model.Packet;
import org.jcodec.common.model.Picture;
import org.jcodec.common.model.Size;
import org.jcodec.containers.mp4.muxer.MP4Muxer;
import org.jspecify.annotations.Nullable;
import wan.file.Messages;
import wan.file.TemporaryFile;
import wan.op.HostTensor;
import wan.op.WanException;

/** H.264 in MP4 by JCodec, of one quality: small enough to send, and hard to tell from the frames. */
final class Mp4Sink implements VideoSink {
    /** The quantizer: 18 is called visually lossless, 23 is what encoders take if nobody says anything. */
    private static final int QUANTIZER = 18;
    /** A frame that needs no other one, for jumping: every second. */
    private static final int KEY_SECONDS = 1;

    private final Path target;
    private final int rate;
    private final TemporaryFile file;
    private final MP4Muxer muxer;
    private final H264Encoder encoder = new H264Encoder(new ConstantQuality());
    private @Nullable MuxerTrack track;
    private ByteBuffer buffer = ByteBuffer.allocate(0);
    private int written;

    Mp4Sink(Path target, int rate) {
        this.target = target;
        this.rate = rate;
        file = TemporaryFile.of(target);
        encoder.setKeyInterval(KEY_SECONDS * rate);
        try {
            muxer = MP4Muxer.createMP4MuxerToChannel(new FileChannelWrapper(file.channel()));
        } catch (IOException e) {
            close();
            throw Messages.io(target, "cannot write", e);
        }
    }

    private static final class ConstantQuality implements RateControl {
        @Override
        public int startPicture(Size size, int maxSize, SliceType type) {
            return QUANTIZER;
        }

        @Override
        public int initialQpDelta() {
            return 0;
        }

        @Override
        public int accept(int bits) {
            return 0;
        }
    }

    @Override
    public void frame(HostTensor tensor) {
        RgbFrame frame = RgbFrame.of(tensor);
        if (frame.width() % 2 != 0 || frame.height() % 2 != 0) {
            throw WanException.mismatch(
                    target.toString(), "even width and height", frame.width() + " x " + frame.height(), "");
        }
        Picture picture = Yuv.of(frame);
        MuxerTrack video = track;
        if (video == null) {
            Size size = new Size(frame.width(), frame.height());
            video = muxer.addVideoTrack(
                    Codec.H264, VideoCodecMeta.createSimpleVideoCodecMeta(size, ColorSpace.YUV420J));
            track = video;
            // Blocks of noise take more than their pixels; the encoder itself asks for less.
            buffer = ByteBuffer.allocate(Math.max(encoder.estimateBufferSize(picture), 8 * frame.rgb().length + 4096));
        }
        buffer.clear();
        VideoEncoder.EncodedFrame encoded = encoder.encodeFrame(picture, buffer);
        byte[] bytes = new byte[encoded.getData().remaining()];
        encoded.getData().duplicate().get(bytes);
        try {
            video.addFrame(Packet.createPacket(
                    ByteBuffer.wrap(bytes),
                    written,
                    rate,
                    1,
                    written,
                    encoded.isKeyFrame() ? Packet.FrameType.KEY : Packet.FrameType.INTER,
                    null));
        } catch (IOException e) {
            throw Messages.io(target, "cannot write", e);
        }
        written++;
    }

    @Override
    public void finish() {
        try {
            muxer.finish();
            file.moveIntoPlace();
        } catch (IOException e) {
            throw Messages.io(target, "cannot write", e);
        }
    }

    @Override
    public void close() {
        try {
            file.close();
        } catch (IOException e) {
            throw Messages.io(target, "cannot remove", e);
        }
    }
}
