package wan.run;

import java.lang.System.Logger.Level;
import java.util.Map;
import wan.model.WanConfig;
import wan.model.WanParameters;
import wan.op.NonFiniteException;
import wan.op.Shape;
import wan.op.WeightSource;
import wan.weights.ModelFolder;

/** Explains failures by bad parameters: zeros from an incomplete download, and values that are not finite. */
public final class WeightDiagnosis {
    private static final System.Logger LOG = System.getLogger(WeightDiagnosis.class.getName());

    private WeightDiagnosis() {}

    /**
     * Warns before a run of parameters that hold zeros where trained ones have none, in the layers that it runs. Not to its monitor, which
     * may be told to say little: such a result is worth nothing.
     */
    static void warnOfZeros(Job job) {
        for (LoadedModel model = job.model();
                model != null && !job.spec().model().allowZeroWeights();
                model = model.highNoise()) {
            if (model.weights() instanceof ModelFolder folder) {
                folder.zeros(job.plan().numLayers())
                        .ifPresent(zeros -> LOG.log(
                                Level.WARNING, zeros + "; set model.allow_zero_weights if the zeros are intended"));
            }
        }
    }

    /** The failure, with the first parameter that is not finite, or that all are. Reads parameters up to that one. */
    public static NonFiniteException explain(NonFiniteException failure, WanConfig config, WeightSource weights) {
        for (Map.Entry<String, Shape> parameter : WanParameters.shapes(config).entrySet()) {
            float[] values =
                    weights.get(parameter.getKey(), parameter.getValue()).toFloats();
            int bad = 0;
            for (float value : values) {
                bad += Float.isFinite(value) ? 0 : 1;
            }
            if (bad > 0) {
                return failure.because(
                        "the model's " + parameter.getKey() + " has " + bad + " of " + values.length + " that are not");
            }
        }
        return failure.because("the model's parameters are all finite");
    }
}
