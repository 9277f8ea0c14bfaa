package wan.edit;

import java.nio.file.Path;
import java.util.stream.StreamSupport;
import tools.jackson.databind.json.JsonMapper;
import wan.file.TensorStore;
import wan.op.HostTensor;
import wan.op.Site;
import wan.op.TensorView;
import wan.pass.PassId;

/** The activations in a safetensors file: tensors {@code block1.step0.layer3.k}, as a run that records them writes them. */
public final class RecordingFile implements Recording {
    private final TensorStore file;
    private final String prefix;
    private final int[] heads;

    private RecordingFile(TensorStore file, String prefix) {
        this.file = file;
        this.prefix = prefix;
        String listed = file.metadata().get("heads");
        this.heads = listed == null
                ? new int[0]
                : StreamSupport.stream(JsonMapper.shared().readTree(listed).spliterator(), false)
                        .mapToInt(head -> head.asInt())
                        .toArray();
    }

    /**
     * Opens a recording.
     *
     * @param prefix before the names of all tensors; may be empty
     */
    public static RecordingFile open(Path path, String prefix) {
        return new RecordingFile(TensorStore.open(path), prefix);
    }

    private String tensor(PassId pass, int layer, Site site) {
        String name = prefix + pass.label() + ".layer" + layer + ".";
        // The reference data calls the heads' outputs out.
        return site == Site.Z && file.names().contains(name + "out") ? name + "out" : name + site.tensor();
    }

    @Override
    public boolean has(PassId pass, int layer, Site site) {
        return file.names().contains(tensor(pass, layer, site));
    }

    @Override
    public HostTensor get(PassId pass, int layer, Site site) {
        TensorView view = file.tensor(tensor(pass, layer, site));
        return new HostTensor(view.shape(), view.toFloats());
    }

    @Override
    public int[] heads() {
        return heads.clone();
    }

    @Override
    public String name() {
        return String.valueOf(file.path().getFileName());
    }

    @Override
    public void close() {
        file.close();
    }
}
