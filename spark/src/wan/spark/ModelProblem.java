package wan.spark;

/** A model cannot be opened on this executor: perhaps only here, so it is no failure of a run. */
final class ModelProblem extends RuntimeException {
    private static final long serialVersionUID = 1;

    ModelProblem(String message) {
        super(message);
    }
}
