package wan.app.option;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;
import wan.noise.Seed;
import wan.op.UsageException;

/** Seeds on the command line, in PyTorch's range. */
public final class SeedConverter implements ITypeConverter<Long> {
    @Override
    public Long convert(String value) {
        try {
            return Seed.parse(value);
        } catch (UsageException e) {
            throw new TypeConversionException(String.valueOf(e.getMessage()).replaceFirst("^noise\\.seed: ", ""));
        }
    }
}
