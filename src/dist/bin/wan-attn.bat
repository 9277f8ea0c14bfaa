@echo off
rem Starts wan-attn on the Java of JAVA_HOME or of the PATH; any Java from 17 on finds a JDK 25 by itself.
rem Without delayed expansion a "!" in a prompt stays.
setlocal EnableExtensions DisableDelayedExpansion
call :jar
set "JAVA=%JAVA_HOME%\bin\java.exe"
if defined JAVA_HOME if exist "%JAVA%" goto run
set "JAVA=java"
where /q java && goto run
echo wan-attn: expected Java 17 or newer, found none; install a JDK 25 or set JAVA_HOME>&2
exit /b 1
:run
"%JAVA%" -jar "%JAR%" %*
exit /b %ERRORLEVEL%
:jar
rem Only in a subroutine is %%~dp0 this file's folder, too, if it was started as "wan-attn" with quotes.
set "JAR=%~dp0..\lib\wan-attn.jar"
exit /b 0
