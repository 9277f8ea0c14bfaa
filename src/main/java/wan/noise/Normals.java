package wan.noise;

/** A generator of normal numbers: its n-th call returns what the n-th {@code torch.randn} of a process does. */
@FunctionalInterface
interface Normals {
    /**
     * The next draw.
     *
     * @param count elements of the tensor that is filled, row-major; how the numbers are made depends on it
     */
    float[] next(int count);
}
