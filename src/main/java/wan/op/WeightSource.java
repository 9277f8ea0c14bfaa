package wan.op;

/** Where a model's parameters come from, by their original names. */
@FunctionalInterface
public interface WeightSource {
    /**
     * @param name for example {@code blocks.3.self_attn.q.weight}
     * @param expected the shape that the model's configuration asks for
     * @return the stored tensor, valid as long as the source is open
     * @throws WanException if it is missing or of another shape
     */
    TensorView get(String name, Shape expected);
}
