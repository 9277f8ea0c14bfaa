package uk.ac.manchester.tornado.api;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.common.LibraryTaskDescriptor;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.LibraryTask1;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task4;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task5;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task6;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task7;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task8;

/** Kernels and transfers in order. Here on the JVM: {@link TornadoExecutionPlan} runs them. */
public class TaskGraph {
    /** One kernel with its arguments. */
    record Task(
            String name,
            Object[] arguments,
            java.util.function.Consumer<Object[]> code,
            @Nullable LibraryTaskDescriptor library) {}

    /** Arrays and when they move. */
    record Transfer(int mode, List<Object> arrays) {}

    final String name;
    final List<Task> tasks = new ArrayList<>();
    final List<Transfer> toDevice = new ArrayList<>();
    final List<Transfer> toHost = new ArrayList<>();
    final List<Object> consumed = new ArrayList<>();
    final List<Object> persisted = new ArrayList<>();

    /** An empty graph. */
    public TaskGraph(String name) {
        this.name = name;
    }

    /** Arrays that go to the device before the tasks. */
    public TaskGraph transferToDevice(int mode, Object... objects) {
        toDevice.add(new Transfer(mode, Arrays.asList(objects)));
        return this;
    }

    /** Arrays that come back after the tasks. */
    public TaskGraph transferToHost(int mode, Object... objects) {
        toHost.add(new Transfer(mode, Arrays.asList(objects)));
        return this;
    }

    /** Arrays that another graph left on the device. */
    public TaskGraph consumeFromDevice(String uniqueTaskGraphName, Object... objects) {
        consumed.addAll(Arrays.asList(objects));
        return this;
    }

    /** Arrays that stay on the device for other graphs. */
    public TaskGraph persistOnDevice(Object... objects) {
        persisted.addAll(Arrays.asList(objects));
        return this;
    }

    /** Its name. */
    public String getTaskGraphName() {
        return name;
    }

    /** The graph as it is now. */
    public ImmutableTaskGraph snapshot() {
        return new ImmutableTaskGraph(this);
    }

    /** Adds a kernel. */
    @SuppressWarnings("unchecked") // the arguments come back in the order they were given
    public <T1, T2, T3> TaskGraph task(String id, Task3<T1, T2, T3> code, T1 arg1, T2 arg2, T3 arg3) {
        return add(id, a -> code.apply((T1) a[0], (T2) a[1], (T3) a[2]), arg1, arg2, arg3);
    }

    /** Adds a kernel. */
    @SuppressWarnings("unchecked") // the arguments come back in the order they were given
    public <T1, T2, T3, T4> TaskGraph task(String id, Task4<T1, T2, T3, T4> code, T1 arg1, T2 arg2, T3 arg3, T4 arg4) {
        return add(id, a -> code.apply((T1) a[0], (T2) a[1], (T3) a[2], (T4) a[3]), arg1, arg2, arg3, arg4);
    }

    /** Adds a kernel. */
    @SuppressWarnings("unchecked") // the arguments come back in the order they were given
    public <T1, T2, T3, T4, T5> TaskGraph task(
            String id, Task5<T1, T2, T3, T4, T5> code, T1 arg1, T2 arg2, T3 arg3, T4 arg4, T5 arg5) {
        return add(
                id,
                a -> code.apply((T1) a[0], (T2) a[1], (T3) a[2], (T4) a[3], (T5) a[4]),
                arg1,
                arg2,
                arg3,
                arg4,
                arg5);
    }

    /** Adds a kernel. */
    @SuppressWarnings("unchecked") // the arguments come back in the order they were given
    public <T1, T2, T3, T4, T5, T6> TaskGraph task(
            String id, Task6<T1, T2, T3, T4, T5, T6> code, T1 arg1, T2 arg2, T3 arg3, T4 arg4, T5 arg5, T6 arg6) {
        return add(
                id,
                a -> code.apply((T1) a[0], (T2) a[1], (T3) a[2], (T4) a[3], (T5) a[4], (T6) a[5]),
                arg1,
                arg2,
                arg3,
                arg4,
                arg5,
                arg6);
    }

    /** Adds a kernel. */
    @SuppressWarnings("unchecked") // the arguments come back in the order they were given
    public <T1, T2, T3, T4, T5, T6, T7> TaskGraph task(
            String id,
            Task7<T1, T2, T3, T4, T5, T6, T7> code,
            T1 arg1,
            T2 arg2,
            T3 arg3,
            T4 arg4,
            T5 arg5,
            T6 arg6,
            T7 arg7) {
        return add(
                id,
                a -> code.apply((T1) a[0], (T2) a[1], (T3) a[2], (T4) a[3], (T5) a[4], (T6) a[5], (T7) a[6]),
                arg1,
                arg2,
                arg3,
                arg4,
                arg5,
                arg6,
                arg7);
    }

    /** Adds a kernel. */
    @SuppressWarnings("unchecked") // the arguments come back in the order they were given
    public <T1, T2, T3, T4, T5, T6, T7, T8> TaskGraph task(
            String id,
            Task8<T1, T2, T3, T4, T5, T6, T7, T8> code,
            T1 arg1,
            T2 arg2,
            T3 arg3,
            T4 arg4,
            T5 arg5,
            T6 arg6,
            T7 arg7,
            T8 arg8) {
        return add(
                id,
                a -> code.apply((T1) a[0], (T2) a[1], (T3) a[2], (T4) a[3], (T5) a[4], (T6) a[5], (T7) a[6], (T8) a[7]),
                arg1,
                arg2,
                arg3,
                arg4,
                arg5,
                arg6,
                arg7,
                arg8);
    }

    /** Adds a call of a native library. */
    public <T1> TaskGraph libraryTask(String id, LibraryTask1<T1> code, T1 arg1) {
        LibraryTaskDescriptor call = code.apply(arg1);
        tasks.add(new Task(id, call.getParameters(), a -> {}, call));
        return this;
    }

    private TaskGraph add(String id, java.util.function.Consumer<Object[]> code, Object... arguments) {
        tasks.add(new Task(id, arguments, code, null));
        return this;
    }
}
