# wan-attn on a Java of its own. Build it from the unpacked sources after `mvn package`, then mount weights and results:
#   docker build -t wan-attn .
#   docker run --rm -v "$PWD:/work" wan-attn extract --layer 3
FROM eclipse-temurin:25-jdk
COPY wan-attn.jar LICENSE NOTICE /opt/wan-attn/
WORKDIR /work
ENTRYPOINT ["java", "-jar", "/opt/wan-attn/wan-attn.jar"]
