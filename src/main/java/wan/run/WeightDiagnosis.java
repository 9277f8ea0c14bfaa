package wan.run;

import java.util.Map;
import wan.model.WanConfig;
import wan.model.WanParameters;
import wan.op.NonFiniteException;
import wan.op.Shape;
import wan.op.WeightSource;

/** Why a run came to numbers that are not finite: whether the model's parameters are. */
public final class WeightDiagnosis {
    private WeightDiagnosis() {}

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
