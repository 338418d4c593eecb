// Command gensdk generates the SDKs from schema.json with Pulumi's own code
// generators. `pulumi package gen-sdk` does the same, but needs a language host
// for every language on PATH.
//
//	gensdk -schema schema.json -out sdk [-check] [LANGUAGE...]
//
// Only files that an earlier run wrote (listed in .generated beside them) are
// removed, so hand-written files in an SDK folder survive. With -check nothing
// is written: the command fails and names the files that differ.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/blang/semver"
	gogen "github.com/pulumi/pulumi/pkg/v3/codegen/go"
	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

const (
	tool     = "pulumi-language-gensdk"
	manifest = ".generated"
)

// generators maps a language (and its folder under -out) to its generator.
var generators = map[string]func(*schema.Package) (map[string][]byte, error){
	"java": generateJava,
	"go": func(pkg *schema.Package) (map[string][]byte, error) {
		return gogen.GeneratePackage(tool, pkg, nil)
	},
	"nodejs": func(pkg *schema.Package) (map[string][]byte, error) {
		return nodejs.GeneratePackage(tool, pkg, nil, nil, false, noLoader{})
	},
	"python": func(pkg *schema.Package) (map[string][]byte, error) {
		files, err := python.GeneratePackage(tool, pkg, nil, noLoader{})
		// pyproject.toml names the README beside it; the generator puts it into the package.
		for path, text := range files {
			if folder, name, nested := strings.Cut(path, "/"); nested && name == "README.md" {
				files[name] = text
				delete(files, folder+"/"+name)
			}
		}
		return files, err
	},
}

// generateJava asks gensdk-java, which lies beside this command.
func generateJava(pkg *schema.Package) (map[string][]byte, error) {
	spec, err := pkg.MarshalJSON()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(filepath.Join(filepath.Dir(self), "gensdk-java"))
	command.Stdin = bytes.NewReader(spec)
	command.Stderr = os.Stderr
	answer, err := command.Output()
	if err != nil {
		return nil, err
	}
	var texts map[string]string
	if err := json.Unmarshal(answer, &texts); err != nil {
		return nil, err
	}
	files := make(map[string][]byte, len(texts))
	for name, text := range texts {
		files[name] = []byte(text)
	}
	return files, nil
}

func main() {
	schemaPath := flag.String("schema", "schema.json", "the package schema")
	out := flag.String("out", "sdk", "the folder that holds one folder a language")
	check := flag.Bool("check", false, "compare only; fail when a file differs")
	flag.Parse()

	languages := flag.Args()
	if len(languages) == 0 {
		languages = slices.Sorted(maps.Keys(generators))
	}
	if err := run(*schemaPath, *out, *check, languages); err != nil {
		fmt.Fprintln(os.Stderr, "gensdk:", err)
		os.Exit(1)
	}
}

func run(schemaPath, out string, check bool, languages []string) error {
	// With -check, what is stale in every language.
	var stale []error
	for _, language := range languages {
		generate, ok := generators[language]
		if !ok {
			return fmt.Errorf("no generator for %q; there are: %s", language,
				strings.Join(slices.Sorted(maps.Keys(generators)), ", "))
		}
		// Generators change the package they are given, so each gets its own.
		pkg, err := load(schemaPath)
		if err != nil {
			return err
		}
		files, err := generate(pkg)
		if err != nil {
			return fmt.Errorf("generate %s: %w", language, err)
		}
		dir := filepath.Join(out, language)
		if check {
			if err := compare(dir, files); err != nil {
				stale = append(stale, err)
				continue
			}
		} else if err := write(dir, files); err != nil {
			return err
		}
		fmt.Printf("%s: %d files\n", dir, len(files))
	}
	return errors.Join(stale...)
}

func load(path string) (*schema.Package, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var spec schema.PackageSpec
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	pkg, diags, err := schema.BindSpec(spec, noLoader{}, schema.ValidationOptions{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, diag := range diags {
		fmt.Fprintf(os.Stderr, "%s: %s: %s\n", path, diag.Summary, diag.Detail)
	}
	if diags.HasErrors() {
		return nil, fmt.Errorf("%s is not a valid schema", path)
	}
	return pkg, nil
}

func owned(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(text)), err
}

func names(files map[string][]byte) []string {
	return slices.Sorted(maps.Keys(files))
}

func write(dir string, files map[string][]byte) error {
	old, err := owned(dir)
	if err != nil {
		return err
	}
	for _, name := range old {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s lists %q, which lies outside the folder", filepath.Join(dir, manifest), name)
		}
		if _, kept := files[name]; kept {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// Succeeds on an empty folder only, which is what is wanted.
		_ = os.Remove(filepath.Join(dir, filepath.Dir(name)))
	}
	for _, name := range names(files) {
		path := filepath.Join(dir, name)
		if present, err := os.ReadFile(path); err == nil && bytes.Equal(present, files[name]) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return err
		}
	}
	list := strings.Join(names(files), "\n") + "\n"
	return os.WriteFile(filepath.Join(dir, manifest), []byte(list), 0o644)
}

func compare(dir string, files map[string][]byte) error {
	var stale []string
	for _, name := range names(files) {
		present, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err != nil || !bytes.Equal(present, files[name]) {
			stale = append(stale, name)
		}
	}
	old, err := owned(dir)
	if err != nil {
		return err
	}
	for _, name := range old {
		if _, kept := files[name]; !kept {
			stale = append(stale, name+" (no longer generated)")
		}
	}
	if len(stale) > 0 {
		return fmt.Errorf("%s is stale, run `make sdk`: %s", dir, strings.Join(stale, ", "))
	}
	return nil
}

// noLoader refuses to load other packages: this schema refers to none, and
// loading one would start its plugin.
type noLoader struct{}

func refuse(name string) error {
	return fmt.Errorf("the schema refers to package %q, which this generator does not load", name)
}

func (noLoader) LoadPackage(pkg string, _ *semver.Version) (*schema.Package, error) {
	return nil, refuse(pkg)
}

func (noLoader) LoadPackageV2(_ context.Context, d *schema.PackageDescriptor) (*schema.Package, error) {
	return nil, refuse(d.Name)
}

func (noLoader) LoadPackageReference(pkg string, _ *semver.Version) (schema.PackageReference, error) {
	return nil, refuse(pkg)
}

func (noLoader) LoadPackageReferenceV2(
	_ context.Context, d *schema.PackageDescriptor,
) (schema.PackageReference, error) {
	return nil, refuse(d.Name)
}
