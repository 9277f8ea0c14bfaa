package tornado;

import java.util.List;
import java.util.Locale;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/** Every kernel there is, and how it becomes a task of a graph. */
enum Kernel {
    TOUCH((g, id, c, s, slot, a) -> g.task(id, TouchKernels::touch, c, s, slot, a.act(), a.floats())),
    TOUCH_VECTORS((g, id, c, s, slot, a) -> g.task(id, TouchKernels::touchVectors, c, s, slot, a.act(), a.first())),
    TOUCH_FOUR((g, id, c, s, slot, a) -> g.task(
            id, TouchKernels::touchFour, c, s, slot, a.act(), a.vectors(0), a.vectors(1), a.vectors(2), a.vectors(3))),
    TOUCH_SHORTS((g, id, c, s, slot, a) -> g.task(id, TouchKernels::touchShorts, c, s, slot, a.act(), a.shorts())),
    BEGIN((g, id, c, s, slot, a) -> g.task(id, QueueKernels::begin, c, a.queue(), a.input(), a.act())),
    FEED((g, id, c, s, slot, a) -> g.task(id, QueueKernels::feed, c, a.queue(), s, a.act(), slot)),
    CONFIRM((g, id, c, s, slot, a) -> g.task(id, QueueKernels::confirm, c, a.queue(), a.act(), a.output())),
    UPLOAD((g, id, c, s, slot, a) -> g.task(id, ElementKernels::upload, c, s, slot, a.act(), a.input())),
    DOWNLOAD((g, id, c, s, slot, a) -> g.task(id, ElementKernels::download, c, s, slot, a.act(), a.output())),
    LINEAR_VECTOR((g, id, c, s, slot, a) ->
            g.task(id, LinearKernels::linearVector, c, s, slot, a.act(), a.params(), a.first())),
    LINEAR_SHARED((g, id, c, s, slot, a) ->
            g.task(id, LinearKernels::linearShared, c, s, slot, a.act(), a.params(), a.first())),
    LINEAR_TENSOR((g, id, c, s, slot, a) ->
            g.task(id, TensorLinearKernels::linearTensor, c, s, slot, a.act(), a.params(), a.shorts())),
    WIDEN_WEIGHTS((g, id, c, s, slot, a) ->
            g.task(id, HalfKernels::widenWeights, c, s, slot, a.act(), a.params(), a.shorts(), a.second())),
    WIDEN_BYTES((g, id, c, s, slot, a) ->
            g.task(id, HalfKernels::widenBytes, c, s, slot, a.act(), a.params(), a.shorts(), a.second())),
    WIDEN_PAGES((g, id, c, s, slot, a) ->
            g.task(id, HalfKernels::widenPages, c, s, slot, a.act(), a.params(), a.shorts(), a.second())),
    NARROW_PAGES((g, id, c, s, slot, a) ->
            g.task(id, HalfKernels::narrowPages, c, s, slot, a.act(), a.params(), a.shorts(), a.second())),
    MATMUL((g, id, c, s, slot, a) ->
            g.libraryTask(id, CublasProvider.Task::descriptor, new CublasProvider.Task(s, slot, a))),
    LINEAR_FEW((g, id, c, s, slot, a) ->
            g.task(id, FewRowsKernels::linearFew, c, s, slot, a.act(), a.params(), a.floats())),
    LINEAR_FEW_HALF((g, id, c, s, slot, a) ->
            g.task(id, FewRowsKernels::linearFewHalf, c, s, slot, a.act(), a.params(), a.shorts())),
    LINEAR_FEW_BYTES((g, id, c, s, slot, a) ->
            g.task(id, FewRowsKernels::linearFewBytes, c, s, slot, a.act(), a.params(), a.shorts())),
    QUANTISE_ROWS((g, id, c, s, slot, a) -> g.task(id, Float8Kernels::quantiseRows, c, s, slot, a.act(), a.halves())),
    ROUND_ROWS(
            (g, id, c, s, slot, a) -> g.task(id, HalfKernels::roundRows, c, s, slot, a.act(), a.params(), a.halves())),
    SDPA((g, id, c, s, slot, a) ->
            g.libraryTask(id, CudnnProvider.Task::descriptor, new CudnnProvider.Task(s, slot, a))),
    KEY_GROUPS((g, id, c, s, slot, a) -> g.task(id, SdpaKernels::keyGroups, c, s, slot, a.act(), a.halves())),
    GATHER_MASSES((g, id, c, s, slot, a) -> g.task(id, SdpaKernels::gatherMasses, c, s, slot, a.act())),
    APPEND_ROWS(
            (g, id, c, s, slot, a) -> g.task(id, SdpaKernels::appendRows, c, s, slot, a.act(), a.params(), a.shorts())),
    WIDEN_KEYS((g, id, c, s, slot, a) ->
            g.task(id, SdpaKernels::widenKeys, c, s, slot, a.act(), a.params(), a.shorts(), a.second())),
    WIDEN_VALUES((g, id, c, s, slot, a) ->
            g.task(id, SdpaKernels::widenValues, c, s, slot, a.act(), a.params(), a.shorts(), a.second())),
    GELU((g, id, c, s, slot, a) -> g.task(id, ElementKernels::gelu, c, s, slot, a.act())),
    SILU((g, id, c, s, slot, a) -> g.task(id, ElementKernels::silu, c, s, slot, a.act())),
    RMS_NORM((g, id, c, s, slot, a) -> g.task(id, RowKernels::rmsNorm, c, s, slot, a.act(), a.params())),
    RMS_NORM_HALF(
            (g, id, c, s, slot, a) -> g.task(id, RowKernels::rmsNormHalf, c, s, slot, a.act(), a.params(), a.halves())),
    LAYER_NORM((g, id, c, s, slot, a) -> g.task(id, RowKernels::layerNorm, c, s, slot, a.act(), a.params())),
    LAYER_NORM_MODULATE(
            (g, id, c, s, slot, a) -> g.task(id, RowKernels::layerNormModulate, c, s, slot, a.act(), a.params())),
    GATED_LAYER_NORM((g, id, c, s, slot, a) ->
            g.task(id, RowKernels::gatedLayerNorm, c, s, slot, a.act(), a.params(), a.halves())),
    LAYER_NORM_HALF((g, id, c, s, slot, a) ->
            g.task(id, RowKernels::layerNormHalf, c, s, slot, a.act(), a.params(), a.halves())),
    LAYER_NORM_MODULATE_HALF((g, id, c, s, slot, a) ->
            g.task(id, RowKernels::layerNormModulateHalf, c, s, slot, a.act(), a.params(), a.halves())),
    LAYER_NORM_BYTES((g, id, c, s, slot, a) ->
            g.task(id, Float8Kernels::layerNormBytes, c, s, slot, a.act(), a.params(), a.halves())),
    LAYER_NORM_MODULATE_BYTES((g, id, c, s, slot, a) ->
            g.task(id, Float8Kernels::layerNormModulateBytes, c, s, slot, a.act(), a.params(), a.halves())),
    GATED_LAYER_NORM_BYTES((g, id, c, s, slot, a) ->
            g.task(id, Float8Kernels::gatedLayerNormBytes, c, s, slot, a.act(), a.params(), a.halves())),
    MODULATION((g, id, c, s, slot, a) -> g.task(id, ElementKernels::modulation, c, s, slot, a.act(), a.params())),
    ROPE((g, id, c, s, slot, a) -> g.task(id, ElementKernels::rope, c, s, slot, a.act(), a.params())),
    AVERAGE_HEADS((g, id, c, s, slot, a) -> g.task(id, ElementKernels::averageHeads, c, s, slot, a.act())),
    MIX_HEADS((g, id, c, s, slot, a) -> g.task(id, ElementKernels::mixHeads, c, s, slot, a.act())),
    GATED_RESIDUAL(
            (g, id, c, s, slot, a) -> g.task(id, ElementKernels::gatedResidual, c, s, slot, a.act(), a.params())),
    PATCHIFY((g, id, c, s, slot, a) -> g.task(id, ElementKernels::patchify, c, s, slot, a.act())),
    UNPATCHIFY((g, id, c, s, slot, a) -> g.task(id, ElementKernels::unpatchify, c, s, slot, a.act())),
    APPEND_KEYS((g, id, c, s, slot, a) -> g.task(id, CacheKernels::appendKeys, c, s, slot, a.act(), a.first())),
    APPEND_VALUES((g, id, c, s, slot, a) -> g.task(id, CacheKernels::appendValues, c, s, slot, a.act(), a.first())),
    APPEND_HALF_KEYS((g, id, c, s, slot, a) ->
            g.task(id, CacheKernels::appendHalfKeys, c, s, slot, a.act(), a.params(), a.shorts())),
    APPEND_HALF_VALUES((g, id, c, s, slot, a) ->
            g.task(id, CacheKernels::appendHalfValues, c, s, slot, a.act(), a.params(), a.shorts())),
    NORM_ROPE_APPEND((g, id, c, s, slot, a) ->
            g.task(id, QueryKeyKernels::normRopeAppend, c, s, slot, a.act(), a.params(), a.first(), a.second())),
    NORM_ROPE_APPEND_HALF((g, id, c, s, slot, a) -> g.task(
            id, QueryKeyKernels::normRopeAppendHalf, c, s, slot, a.act(), a.params(), a.shorts(), a.secondShorts())),
    NORM_ROPE_APPEND_ROWS((g, id, c, s, slot, a) -> g.task(
            id,
            QueryKeyKernels::normRopeAppendRows,
            c,
            s,
            slot,
            a.act(),
            a.params(),
            a.shorts(),
            a.secondShorts(),
            a.halves())),
    READ_KEYS((g, id, c, s, slot, a) -> g.task(id, CacheKernels::readKeys, c, s, slot, a.act(), a.first())),
    READ_VALUES((g, id, c, s, slot, a) -> g.task(id, CacheKernels::readValues, c, s, slot, a.act(), a.first())),
    ATTENTION_VECTOR((g, id, c, s, slot, a) ->
            g.task(id, AttentionKernels::attentionVector, c, s, slot, a.act(), a.params(), a.first(), a.second())),
    ATTENTION_SHARED((g, id, c, s, slot, a) ->
            g.task(id, AttentionKernels::attentionShared, c, s, slot, a.act(), a.params(), a.first(), a.second())),
    ATTENTION_TENSOR((g, id, c, s, slot, a) -> g.task(
            id,
            TensorAttentionKernels::attentionTensor,
            c,
            s,
            slot,
            a.act(),
            a.params(),
            a.shorts(),
            a.secondShorts(),
            a.halves())),
    MEAN_QUERIES((g, id, c, s, slot, a) -> g.task(id, CaptureKernels::meanQueries, c, s, slot, a.act())),
    MEAN_KEYS((g, id, c, s, slot, a) -> g.task(id, CaptureKernels::meanKeys, c, s, slot, a.act(), a.first())),
    MEAN_HALF_KEYS((g, id, c, s, slot, a) ->
            g.task(id, CaptureKernels::meanHalfKeys, c, s, slot, a.act(), a.params(), a.shorts())),
    PRODUCTS((g, id, c, s, slot, a) -> g.task(id, CaptureKernels::products, c, s, slot, a.act(), a.params())),
    KEY_LOGITS((g, id, c, s, slot, a) ->
            g.task(id, CaptureKernels::keyLogits, c, s, slot, a.act(), a.params(), a.first())),
    MEAN_ROWS((g, id, c, s, slot, a) -> g.task(id, CaptureKernels::meanRows, c, s, slot, a.act()));

    /** The arrays that a task may be bound to; it takes those it needs. */
    record Arrays(
            FloatArray act,
            FloatArray params,
            FloatArray input,
            FloatArray output,
            IntArray queue,
            ShortArray halves,
            FloatArray workspace,
            List<Object> stores) {
        /** The first store, of floats that nothing reads in vectors. */
        FloatArray floats() {
            return (FloatArray) stores.get(0);
        }

        VectorFloat16 vectors(int i) {
            return (VectorFloat16) stores.get(i);
        }

        VectorFloat16 first() {
            return vectors(0);
        }

        /** The first store, of 16-bit elements. */
        ShortArray shorts() {
            return (ShortArray) stores.get(0);
        }

        ShortArray secondShorts() {
            return (ShortArray) stores.get(1);
        }

        VectorFloat16 second() {
            return vectors(1);
        }
    }

    /** Adds one task. A method reference at the place of the call is what TornadoVM can compile. */
    @FunctionalInterface
    interface Binding {
        TaskGraph add(TaskGraph graph, String id, KernelContext context, IntArray step, Integer slot, Arrays arrays);
    }

    @SuppressWarnings("ImmutableEnumChecker") // a method reference
    private final Binding binding;

    Kernel(Binding binding) {
        this.binding = binding;
    }

    /** Adds this kernel to a graph. */
    void addTo(TaskGraph graph, String id, KernelContext context, IntArray step, int slot, Arrays arrays) {
        binding.add(graph, id, context, step, slot, arrays);
    }

    /** Whether it is a function of a library: such a task has no grid. */
    boolean isLibrary() {
        return this == MATMUL || this == SDPA;
    }

    /** As task names show it. */
    String taskName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
