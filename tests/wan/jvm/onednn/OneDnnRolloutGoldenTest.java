package wan.jvm.onednn;

import wan.RolloutGoldenTest;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.Ops;

/** The reference's rollouts with everything captured and the products in float32 on oneDNN: the tolerances of every float32 backend. */
class OneDnnRolloutGoldenTest extends RolloutGoldenTest {
    @Override
    protected Ops open(int threads) {
        OneDnnTest.assumeThere(JvmOptions.Kind.ONEDNN_F32);
        return new JvmOps(new JvmOptions(threads, JvmOptions.Kind.ONEDNN_F32));
    }
}
