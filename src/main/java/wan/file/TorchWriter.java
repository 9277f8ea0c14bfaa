package wan.file;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.SequencedMap;
import wan.file.torch.Pickler;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * Writes what {@code torch.save} would write of a dict, in the zip format; {@code torch.load(weights_only=True)} reads it.
 *
 * <p>The extraction script's results are such files (the reference's {@code layer3.pt}).
 */
public final class TorchWriter {
    private TorchWriter() {}

    /**
     * Writes a dict of plain values and tensors, in its order.
     *
     * @param target replaced when the file is whole, not before; its name becomes the folder inside the zip
     * @param values as {@link Pickler#pickle} takes them; a tensor's name does not matter, its key does
     * @throws WanException if a value is of another kind, or the file cannot be written
     */
    public static void write(Path target, SequencedMap<String, ?> values) {
        Pickler pickler = new Pickler();
        byte[] pickle = pickler.pickle(values);
        List<TensorView> storages = pickler.storages();
        String root = String.valueOf(target.getFileName()).replaceFirst("\\.[^.]*$", "");
        String folder = root.matches("[A-Za-z0-9._-]*[A-Za-z0-9_-]") ? root : "archive";
        OutputFile.write(target, out -> {
            try (StoredZip zip = new StoredZip(out)) {
                zip.add(folder + "/data.pkl", pickle);
                zip.add(folder + "/byteorder", "little".getBytes(StandardCharsets.US_ASCII));
                for (int i = 0; i < storages.size(); i++) {
                    zip.add(folder + "/data/" + i, storages.get(i).data());
                }
                zip.add(folder + "/version", "3\n".getBytes(StandardCharsets.US_ASCII));
                // Torch reads what it knows by name; this tells our files from what it wrote itself under the same
                // keys.
                zip.add(folder + "/written_by_wan_attn", new byte[0]);
            }
        });
    }
}
