# wan-attn with its own Java. Run `mvn -q -DskipTests package` first; mount the folder with weights and results:
#   docker build -t wan-attn .
#   docker run --rm -v "$PWD:/work" wan-attn extract --layer 3
FROM eclipse-temurin:25-jdk
COPY wan-attn.jar LICENSE NOTICE /opt/wan-attn/
WORKDIR /work
ENTRYPOINT ["java", "-jar", "/opt/wan-attn/wan-attn.jar"]
