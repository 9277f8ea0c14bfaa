@echo off
rem Starts wan-attn on the Java of JAVA_HOME or of the PATH; any Java from 17 on finds a JDK 25 by itself.
setlocal
set "JAVA=java"
if defined JAVA_HOME if exist "%JAVA_HOME%\bin\java.exe" set "JAVA=%JAVA_HOME%\bin\java.exe"
"%JAVA%" -jar "%~dp0..\lib\wan-attn.jar" %*
exit /b %ERRORLEVEL%
