package wan.app.terminal;

/**
 * Operations per second, over the later part of the time that has passed: between its last half and its last three quarters. So what was slow
 * at first is forgotten, and a single slow moment does not show.
 */
final class Rate {
    private final long startNanos;
    private Moment from;
    private Moment next;
    private Moment last;

    /** How much was done by when. */
    private record Moment(long nanos, double flops) {}

    Rate(long startNanos, double doneFlops) {
        this.startNanos = startNanos;
        from = new Moment(startNanos, doneFlops);
        next = from;
        last = from;
    }

    /** So much is done by now, from the beginning. */
    void add(long nowNanos, double doneFlops) {
        last = new Moment(nowNanos, doneFlops);
        if (nowNanos - startNanos > 2 * (next.nanos - startNanos)) {
            from = next;
            next = last;
        }
    }

    /** 0 where nothing has been done yet. */
    double perSecond() {
        long nanos = last.nanos - from.nanos;
        return nanos <= 0 ? 0 : (last.flops - from.flops) / nanos * 1e9;
    }
}
