package uk.ac.manchester.tornado.api;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.function.Consumer;
import java.util.function.Supplier;
import uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider;

/**
 * Runs kernels on the JVM, one work item after the other, and with a thread per item where a group shares memory: what
 * Numba's CUDA simulator is to CUDA. Only in the shim; the real API has no such class.
 */
final class Emulator {
    private static final String DIES = "dies-";

    /** Outside of any kernel. */
    static final Group NO_GROUP = new Group(1, false);

    /** Thrown by an item that needs its group's other items to run beside it; before it has written anything. */
    private static final class NeedsGroup extends RuntimeException {
        private static final long serialVersionUID = 1L;

        NeedsGroup() {
            super(null, null, false, false);
        }
    }

    /** What the items of one work group share. */
    static final class Group {
        private final int size;
        private final boolean threaded;
        private int parties;
        private int waiting;
        private CountDownLatch barrier = new CountDownLatch(1);
        private final List<Object> shared = new ArrayList<>();
        private final Map<Object, Object> results = new ConcurrentHashMap<>();

        Group(int size, boolean threaded) {
            this.size = size;
            this.threaded = threaded;
            this.parties = size;
        }

        /** What is the same for all items that ask before the next barrier: made once. */
        Object once(Object key, Supplier<Object> make) {
            return results.computeIfAbsent(key, missing -> make.get());
        }

        void await() {
            if (size == 1) {
                return;
            }
            if (!threaded) {
                throw new IllegalStateException("a kernel must allocate its local memory before its first barrier");
            }
            CountDownLatch mine;
            synchronized (this) {
                mine = barrier;
                waiting++;
                openWhenAllAreThere();
            }
            try {
                mine.await(); // parks at once, where a Phaser's items spin
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }

        /** An item is done, and no barrier waits for it any more. */
        synchronized void leave() {
            parties--;
            openWhenAllAreThere();
        }

        private void openWhenAllAreThere() {
            if (waiting >= parties) {
                waiting = 0;
                results.clear();
                barrier.countDown();
                barrier = new CountDownLatch(1);
            }
        }

        Object local(int index, Supplier<Object> fresh) {
            if (size > 1 && !threaded) {
                throw new NeedsGroup();
            }
            synchronized (shared) {
                if (index == shared.size()) {
                    shared.add(fresh.get());
                }
                return shared.get(index);
            }
        }
    }

    private Emulator() {}

    /** Whether the system property {@code wan.emulator} lists this; {@link TornadoRuntimeProvider} says what there is. */
    static boolean passesFor(String trait) {
        return traits().contains(trait);
    }

    /**
     * After how many executions of a plan a device is to fail: {@code dies-12}. TornadoVM's native code prints such a fault and
     * goes on; arrays of the host keep what they held.
     */
    static long lifetime() {
        return traits().stream()
                .filter(trait -> trait.startsWith(DIES))
                .mapToLong(trait -> Long.parseLong(trait.substring(DIES.length())))
                .findFirst()
                .orElse(Long.MAX_VALUE);
    }

    private static List<String> traits() {
        return List.of(System.getProperty("wan.emulator", "").split(",", -1));
    }

    /**
     * Runs a kernel over a grid.
     *
     * @param task its name; a device that passes for {@code wrong} leaves out the last of several groups of all that does not fetch results
     * @param localSize items of a group; divides {@code globalSize}
     */
    static void run(String task, Consumer<KernelContext> kernel, int globalSize, int localSize) {
        if (globalSize % localSize != 0) {
            throw new IllegalArgumentException("a grid of " + globalSize + " is no multiple of groups of " + localSize);
        }
        boolean threaded = false;
        int groups = globalSize / localSize;
        if (groups > 1 && passesFor("wrong") && !task.startsWith("download")) {
            groups--;
        }
        for (int group = 0; group < groups; group++) {
            if (!threaded) {
                try {
                    runInTurn(kernel, group, globalSize, localSize);
                } catch (NeedsGroup e) {
                    threaded = true;
                }
            }
            if (threaded) {
                runTogether(kernel, group, globalSize, localSize);
            }
        }
    }

    private static void runInTurn(Consumer<KernelContext> kernel, int group, int globalSize, int localSize) {
        for (int local = 0; local < localSize; local++) {
            Group alone = new Group(localSize, false);
            kernel.accept(new KernelContext(group * localSize + local, group, local, globalSize, localSize, alone));
        }
    }

    private static void runTogether(Consumer<KernelContext> kernel, int group, int globalSize, int localSize) {
        Group shared = new Group(localSize, true);
        List<KernelContext> items = new ArrayList<>();
        List<Throwable> failures = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        for (int local = 0; local < localSize; local++) {
            KernelContext item =
                    new KernelContext(group * localSize + local, group, local, globalSize, localSize, shared);
            items.add(item);
            threads.add(Thread.ofVirtual().start(() -> {
                try {
                    kernel.accept(item);
                } catch (Throwable e) { // handed to the caller below
                    synchronized (failures) {
                        failures.add(e);
                    }
                } finally {
                    shared.leave();
                }
            }));
        }
        boolean interrupted = false;
        for (Thread thread : threads) {
            while (true) {
                try {
                    thread.join();
                    break;
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (!failures.isEmpty()) {
            throw new IllegalStateException("a work item failed", failures.getFirst());
        }
        if (items.stream().mapToInt(KernelContext::barriers).distinct().count() != 1) {
            throw new IllegalStateException("the items of a group passed different numbers of barriers");
        }
    }
}
