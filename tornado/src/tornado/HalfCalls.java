package tornado;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import wan.backend.Storage;
import wan.op.DType;
import wan.op.HalfFormat;
import wan.op.NonFiniteException;
import wan.op.Shape;

/**
 * Calls between 16-bit stores and float32. What is stored in 16 bits is widened right before the kernels that read it, into room that
 * all layers share: a few bytes moved per weight or key, against thousands of operations on each, and those kernels stay one.
 */
final class HalfCalls {
    private static final String CACHE_HINT = "device.cache bf16 has the range of f32";

    private final Recorder recorder;
    private final Parameters parameters;
    private final Storage storage;
    /** The number of the first call that met what is not finite in 16 bits; 0 as long as none has. */
    private final DeviceTensor firstBad;

    /** What was rounded: where, and how. */
    private record Rounding(String where, DType dtype, String hint) {}

    private final List<Rounding> narrowed = new ArrayList<>();
    private int found;

    HalfCalls(Recorder recorder, Parameters parameters, ScratchStack scratch, Storage storage) {
        this.recorder = recorder;
        this.parameters = parameters;
        this.storage = storage;
        // A program's activations start as zeros and move on to the next program.
        this.firstBad = scratch.take(Shape.of(1));
        recorder.watch(firstBad, value -> found = (int) value);
    }

    /** Widens the weights of one layer. Returns where they are now, from the store's first element on. */
    Store widen(DeviceLinear linear) {
        WideStore wide = recorder.wideWeights();
        if (storage.weights() == DType.F8_E4M3) {
            recorder.add(recorder.elements(
                    Kernel.WIDEN_BYTES,
                    linear.shard(),
                    wide,
                    linear.packedElements(),
                    List.of(),
                    parameters.byteTable(),
                    16 * linear.vector(),
                    linear.bias() + linear.outFeatures(),
                    linear.inFeatures()));
            return wide;
        }
        int table = weightTable();
        recorder.add(recorder.elements(
                Kernel.WIDEN_WEIGHTS,
                linear.shard(),
                wide,
                linear.packedElements(),
                List.of(),
                table,
                16 * linear.vector()));
        return wide;
    }

    /** These pages as they are stored. */
    Pages stored(DeviceCache kv, int[] numbers) {
        return new Pages(kv.pool().keys(), kv.pool().values(), kv.first(), kv.pages(), numbers);
    }

    /** These pages where kernels can read them: in the pool, or widened. */
    Pages readable(DeviceCache kv, int[] numbers) {
        Pages pages = readableKeys(kv, numbers);
        widen(kv, kv.pool().values(), Kernel.WIDEN_VALUES, kv.pool().geometry().valueElements(), numbers);
        return pages;
    }

    /** As {@link #readable}, for kernels that read keys only. */
    Pages readableKeys(DeviceCache kv, int[] numbers) {
        widen(kv, kv.pool().keys(), Kernel.WIDEN_KEYS, kv.pool().geometry().keyElements(), numbers);
        return kv.pool().isWide() ? stored(kv, numbers) : side(kv, numbers.length);
    }

    /** Widens keys or values; {@code fromRows} is the kernel for pages that are stored as rows, {@code elements} those of a page of panels. */
    private void widen(DeviceCache kv, PagePool.Half half, Kernel fromRows, int elements, int[] numbers) {
        PagePool pool = kv.pool();
        if (pool.isRows()) {
            widenRows(fromRows, half, elements, pool.geometry(), kv.inPool(numbers));
        } else if (!pool.isWide()) {
            transfer(Kernel.WIDEN_PAGES, half, kv.inPool(numbers));
        }
    }

    /** Where new pages have to be written, before {@link #written}. */
    Pages writable(DeviceCache kv, int[] numbers) {
        return kv.pool().isWide() ? stored(kv, numbers) : side(kv, numbers.length);
    }

    /**
     * Stores pages that have been written.
     *
     * @param where what they are, for a message
     */
    void written(DeviceCache kv, int[] numbers, String where) {
        PagePool pool = kv.pool();
        if (!pool.isWide()) {
            int[] inPool = kv.inPool(numbers);
            int[] keys = rounding(new Rounding("keys" + where, storage.cache(), CACHE_HINT));
            transfer(Kernel.NARROW_PAGES, pool.keys(), inPool, new Call.Table(4, keys));
            int[] values = rounding(new Rounding("values" + where, storage.cache(), CACHE_HINT));
            transfer(Kernel.NARROW_PAGES, pool.values(), inPool, new Call.Table(4, values));
        }
    }

    /**
     * What {@link HalfKernels#rounded} needs to round the inputs of linear layers as their weights are.
     *
     * @param what they are, for a message
     */
    Inputs roundingInputs(String what) {
        int[] all = rounding(inputs(what));
        int infinity = all[2] << all[1];
        int half = storage.weights() == DType.F16 ? 1 : 0;
        return new Inputs(narrowed.size(), new int[] {all[3], all[4], all[5], infinity, half});
    }

    /**
     * What {@link Float8Kernels} needs to round rows of the inputs of linear layers.
     *
     * @param what they are, for a message
     * @param bytes where they go in the array of halves
     * @param scales where those of the rows go among the activations
     */
    Inputs quantisingInputs(String what, int bytes, int scales) {
        narrowed.add(inputs(what));
        return new Inputs(narrowed.size(), new int[] {bytes, scales, firstBad.offset(), narrowed.size()});
    }

    /** As {@link #roundingInputs} or {@link #quantisingInputs} gives it, with the number of the call. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Inputs(int number, int[] table) {}

    /** Where the values of all 16-bit patterns of keys are among the parameters. */
    int cacheTable() {
        return parameters.halfTable(HalfFormat.of(storage.cache()));
    }

    /**
     * What {@link HalfKernels#rounded} needs to round queries as keys are.
     *
     * @param what they are, for a message
     */
    int[] roundingQueries(String what) {
        int[] all = narrowingCache(what);
        boolean half = storage.cache() == DType.F16;
        HalfFormat format = HalfFormat.of(storage.cache());
        return new int[] {all[0], all[1], all[2], format.infinity() << format.mantissaBits(), half ? 1 : 0};
    }

    /** Says what a rounding was for, once that is known. */
    void name(int number, String what) {
        Rounding before = narrowed.get(number - 1);
        narrowed.set(number - 1, new Rounding(what, before.dtype(), before.hint()));
    }

    private Rounding inputs(String what) {
        return new Rounding(what, storage.weights(), "device.weights bf16 has the range of f32");
    }

    /** Where the values of all 8-bit patterns of weights are among the parameters. */
    int byteTable() {
        return parameters.byteTable();
    }

    /** Where the values of all patterns of weights are among the parameters; 0 if they are in float32. */
    int weightTable() {
        return switch (storage.weights()) {
            case F32 -> 0;
            case F8_E4M3 -> parameters.byteTable();
            default -> parameters.halfTable(HalfFormat.of(storage.weights()));
        };
    }

    /**
     * What {@link HalfKernels#half} needs to round what keys, values and queries are.
     *
     * @param what it is, for a message
     */
    int[] narrowingCache(String what) {
        return Arrays.copyOfRange(rounding(new Rounding(what, storage.cache(), CACHE_HINT)), 3, 6);
    }

    private int[] rounding(Rounding rounding) {
        HalfFormat format = HalfFormat.of(rounding.dtype());
        narrowed.add(rounding);
        return new int[] {
            parameters.halfTable(format),
            format.mantissaBits(),
            format.infinity(),
            parameters.constant(format.limit()),
            firstBad.offset(),
            narrowed.size()
        };
    }

    /** The room of widened pages, [batch][pages]. */
    private static Pages side(DeviceCache kv, int pages) {
        int[] all = new int[pages];
        for (int i = 0; i < pages; i++) {
            all[i] = i;
        }
        return new Pages(kv.pool().keys().wide(), kv.pool().values().wide(), 0, pages, all);
    }

    /** Pages that are stored as rows to panels. */
    private void widenRows(Kernel kernel, PagePool.Half half, int elements, PagePool.Geometry page, int[] inPool) {
        recorder.add(recorder.elements(
                kernel,
                half,
                half.wide(),
                Math.multiplyExact(inPool.length, elements),
                List.of(new Call.Table(2, inPool)),
                cacheTable(),
                0,
                page.pageTokens(),
                page.numHeads(),
                page.headDim()));
    }

    private void transfer(Kernel kernel, PagePool.Half half, int[] inPool, Call.Table... more) {
        int table = cacheTable();
        List<Call.Table> tables = new ArrayList<>(List.of(more));
        tables.add(new Call.Table(3, inPool));
        int items = Math.multiplyExact(inPool.length, half.pageElements());
        // The places of both tables are filled in by whoever runs the call.
        recorder.add(recorder.elements(kernel, half, half.wide(), items, tables, table, half.pageElements(), 0, 0));
    }

    /**
     * Ends a pass, or what else has stored pages.
     *
     * @throws NonFiniteException if 16 or 8 bits had no room for something
     */
    void judge() {
        if (found == 0) {
            narrowed.clear();
            return;
        }
        Rounding first = narrowed.get(found - 1);
        forget();
        recorder.upload(firstBad, new float[1]);
        if (first.dtype() == DType.F8_E4M3) { // rows have scales
            throw new NonFiniteException(first.where() + ": expected finite numbers to be rounded to "
                    + first.dtype().option() + ", got infinite or undefined ones");
        }
        throw new NonFiniteException(first.where()
                + ": expected finite numbers up to "
                + HalfFormat.of(first.dtype()).max()
                + " as " + first.dtype().option() + ", got larger or undefined ones"
                + (first.dtype() == DType.F16 ? "; " + first.hint() : ""));
    }

    /** Forgets a pass that failed. */
    void forget() {
        narrowed.clear();
        found = 0;
    }
}
