// Command gensdk-java generates the Java SDK for gensdk, which runs it. It is a
// module of its own because the Java generator needs an older pulumi/pkg than
// the CLI that is built from the other one.
//
//	gensdk-java <schema.json >files.json
//
// The answer is an object of file names and their content.
package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/pulumi/pulumi-java/pkg/codegen/java"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

const (
	tool = "pulumi-language-gensdk"
	// The SDK is compiled against this com.pulumi:pulumi. Any newer 1.x will do.
	pulumi = "1.20.0"
	// The oldest Java it runs on.
	release = "11"
)

func main() {
	answer := os.Stdout
	// The generator prints warnings where the answer belongs.
	os.Stdout = os.Stderr
	if err := run(os.Stdin, answer); err != nil {
		fmt.Fprintln(os.Stderr, "gensdk-java:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var spec schema.PackageSpec
	if err := json.NewDecoder(in).Decode(&spec); err != nil {
		return err
	}
	// For secret outputs of components the generator calls a method that components' options do not have. The
	// values themselves are marked, so that nothing is lost without.
	for _, resource := range spec.Resources {
		for name, property := range resource.Properties {
			if resource.IsComponent {
				property.Secret = false
				resource.Properties[name] = property
			}
		}
	}
	pkg, err := schema.ImportSpec(spec, nil, schema.ValidationOptions{})
	if err != nil {
		return err
	}
	// Without build files of its own: those it makes are Gradle's, carry the year they were made in, and
	// fetch their plugins from a registry of their own.
	files, err := java.GeneratePackage(tool, pkg, nil, nil, true, false)
	if err != nil {
		return err
	}
	base, ok := base(spec)
	if !ok {
		base = "com.pulumi"
	}
	plugin, err := pluginFile(spec)
	if err != nil {
		return err
	}
	resources := path.Join("src/main/resources", strings.ReplaceAll(base, ".", "/"), spec.Name)
	files[path.Join(resources, "plugin.json")] = plugin
	files["pom.xml"] = pom(spec, base)
	answer := make(map[string]string, len(files))
	for name, content := range files {
		answer[name] = string(content)
	}
	return json.NewEncoder(out).Encode(answer)
}

// base is the Java package that holds the provider's.
func base(spec schema.PackageSpec) (string, bool) {
	var settings struct {
		BasePackage string `json:"basePackage"`
	}
	if err := json.Unmarshal(spec.Language["java"], &settings); err != nil || settings.BasePackage == "" {
		return "", false
	}
	return strings.TrimSuffix(settings.BasePackage, "."), true
}

// pluginFile tells the engine which plugin a program with this SDK needs.
func pluginFile(spec schema.PackageSpec) ([]byte, error) {
	plugin := struct {
		Resource bool   `json:"resource"`
		Name     string `json:"name"`
		Version  string `json:"version"`
		Server   string `json:"server,omitempty"`
	}{true, spec.Name, spec.Version, spec.PluginDownloadURL}
	text, err := json.MarshalIndent(plugin, "", "  ")
	return append(text, '\n'), err
}

func escape(text string) string {
	var escaped strings.Builder
	// Writing to a builder does not fail.
	_ = xml.EscapeText(&escaped, []byte(text))
	return escaped.String()
}

func pom(spec schema.PackageSpec, group string) []byte {
	fill := strings.NewReplacer(
		"@GROUP@", escape(group),
		"@NAME@", escape(spec.Name),
		"@VERSION@", escape(spec.Version),
		"@TITLE@", escape(spec.DisplayName),
		"@DESCRIPTION@", escape(spec.Description),
		"@REPOSITORY@", escape(spec.Repository),
		"@LICENSE@", escape(spec.License),
		"@PULUMI@", pulumi,
		"@RELEASE@", release,
	)
	return []byte(fill.Replace(`<?xml version="1.0" encoding="UTF-8"?>
<!-- Generated from schema.json. Do not edit. -->
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>@GROUP@</groupId>
  <artifactId>@NAME@</artifactId>
  <version>@VERSION@</version>
  <packaging>jar</packaging>
  <name>@TITLE@</name>
  <description>@DESCRIPTION@</description>
  <url>@REPOSITORY@</url>
  <licenses>
    <license>
      <name>@LICENSE@</name>
    </license>
  </licenses>
  <scm>
    <url>@REPOSITORY@</url>
  </scm>
  <properties>
    <maven.compiler.release>@RELEASE@</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency>
      <groupId>com.pulumi</groupId>
      <artifactId>pulumi</artifactId>
      <version>@PULUMI@</version>
    </dependency>
    <dependency>
      <groupId>com.google.code.gson</groupId>
      <artifactId>gson</artifactId>
      <version>2.8.9</version>
    </dependency>
    <dependency>
      <groupId>com.google.code.findbugs</groupId>
      <artifactId>jsr305</artifactId>
      <version>3.0.2</version>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <groupId>org.apache.maven.plugins</groupId>
        <artifactId>maven-compiler-plugin</artifactId>
        <version>3.13.0</version>
      </plugin>
    </plugins>
  </build>
</project>
`))
}
