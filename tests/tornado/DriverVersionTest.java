package tornado;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class DriverVersionTest {
    @Test
    void version_ofBothKindsOfDriver() {
        assertThat(DriverVersion.in("""
                NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024
                GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)
                """)).isEqualTo("550.54.15");
        assertThat(DriverVersion.in("""
                NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build  (dvs-builder@U16)
                GCC version:  gcc version 12.3.0
                """)).isEqualTo("570.86.10");
        assertThat(DriverVersion.in("")).isEmpty();
    }
}
