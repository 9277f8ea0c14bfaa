package wan.backend;

import java.util.Locale;
import wan.op.WanException;

/**
 * Bytes that a run needs on a device, and once more on the host, known before any of them is allocated.
 *
 * @param device its name
 * @param weightBytes packed weights of the linear layers
 * @param cacheBytes keys and values
 * @param restBytes activations, small parameters, transfers, operands of a library
 * @param largestArrayBytes the largest single array, and {@code largestArray} what is in it
 * @param deviceBytes what may be used of the device's memory
 * @param deviceArrayBytes the largest single array that the device allows
 */
public record MemoryPlan(
        String device,
        long weightBytes,
        long cacheBytes,
        long restBytes,
        String largestArray,
        long largestArrayBytes,
        long deviceBytes,
        long deviceArrayBytes) {

    /** All of it; the host needs as much again. */
    public long bytes() {
        return weightBytes + cacheBytes + restBytes;
    }

    /**
     * Refuses a run that the device has no room for.
     *
     * @throws WanException with the numbers and what to change
     */
    public void check() {
        if (bytes() > deviceBytes) {
            throw new WanException("memory of device " + device + ": expected " + size(bytes()) + " ("
                    + parts() + "), got " + size(deviceBytes) + "; "
                    + (weightBytes > deviceBytes ? "the weights alone do not fit: use another device.name" : smaller())
                    + ", or a larger device.memory_bytes if the device has more");
        }
        if (largestArrayBytes > deviceArrayBytes) {
            throw new WanException("memory of device " + device + ": expected " + size(largestArrayBytes)
                    + " in one array for " + largestArray + ", got a device that allows " + size(deviceArrayBytes)
                    + "; "
                    + smaller());
        }
    }

    /** What it is made of. */
    public String parts() {
        return "weights " + size(weightBytes) + ", keys and values " + size(cacheBytes) + ", activations "
                + size(restBytes);
    }

    /** How a run needs less. */
    public static String smaller() {
        return "use cache.local_attn_size, fewer frames (video.num_frames, sampler.num_frame_per_block) or a smaller"
                + " video.latent_height";
    }

    private static String size(long bytes) {
        if (bytes < 1 << 20) {
            return bytes / 1024 + " KiB";
        }
        return bytes < 1 << 30
                ? String.format(Locale.ROOT, "%.1f MiB", bytes / (double) (1 << 20))
                : String.format(Locale.ROOT, "%.2f GiB", bytes / (double) (1 << 30));
    }
}
