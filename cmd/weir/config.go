package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"weir"
	"weir/internal/guard"
	"weir/internal/ledger"
	"weir/internal/quota"
)

// defaultConfig is read where -config is not given.
const defaultConfig = "weir.yaml"

// config is the config file. Paths in it are relative to its own folder.
type config struct {
	Data     string          `yaml:"data"`
	Guard    *guardConfig    `yaml:"guard"`
	Register *registerConfig `yaml:"register"`

	path string
}

type guardConfig struct {
	Name      string            `yaml:"name"` // of the guard in statements and checkpoints
	Listen    string            `yaml:"listen"`
	Upstream  string            `yaml:"upstream"`
	Mode      string            `yaml:"mode"`
	Key       string            `yaml:"key"` // the key file; by default beside the data folder
	Hold      int64             `yaml:"hold"`
	Principal []principalConfig `yaml:"principal"`
	Routes    []routeConfig     `yaml:"routes"`
	Unmatched string            `yaml:"unmatched"`
	Quotas    []quotaConfig     `yaml:"quotas"`

	Admin       string `yaml:"admin"`       // where /healthz and /readyz are answered; nowhere if empty
	Checkpoints string `yaml:"checkpoints"` // a folder in another place that keeps the ledger's last checkpoint
	Volume      int64  `yaml:"volume"`      // bytes of entries in a volume
	Retain      string `yaml:"retain"`      // for how long at least entries are kept; for good if empty
	ClockJump   string `yaml:"clock_jump"`  // how far the wall clock may be ahead of the ledger's time and still be believed
}

type principalConfig struct {
	Header string `yaml:"header"`
	Keys   string `yaml:"keys"`
}

type routeConfig struct {
	Match     string            `yaml:"match"`
	Records   string            `yaml:"records"`
	Subject   subjectConfig     `yaml:"subject"`
	Unit      string            `yaml:"unit"`
	Classes   map[string]string `yaml:"classes"`
	Over      string            `yaml:"over"`
	NonJSON   string            `yaml:"non_json"`
	Irregular string            `yaml:"irregular"`
	Mode      string            `yaml:"mode"`
}

// subjectConfig is a pointer, or {path: name}.
type subjectConfig struct{ pointer, path string }

func (s *subjectConfig) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&s.pointer)
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "path" {
		return n.Content[1].Decode(&s.path)
	}
	return fmt.Errorf("line %d: subject must be a JSON pointer such as /account_number, or {path: name}", n.Line)
}

type quotaConfig struct {
	Principal string `yaml:"principal"`
	Subjects  *int   `yaml:"subjects"`
	Per       string `yaml:"per"`
}

type registerConfig struct {
	Listen string   `yaml:"listen"`
	Guards []string `yaml:"guards"` // verifier keys of the guards whose statements are taken

	PublicURL string `yaml:"public_url"` // where readers reach it through a proxy on this machine
}

// loadConfig reads the config file strictly: a key that it does not know is an error.
func (c *call) loadConfig() (*config, error) {
	path := *c.config
	if path == "" {
		path = defaultConfig
	}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && *c.config == "":
		return nil, fmt.Errorf("no %s here: name a config file with -config; README.md shows one", defaultConfig)
	case err != nil:
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	cfg := &config{path: path}
	if err := dec.Decode(cfg); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, oneLine(err))
	}
	if cfg.Data == "" {
		cfg.Data = "./weir-data"
	}
	cfg.Data = cfg.file(cfg.Data)
	return cfg, nil
}

// oneLine joins the several findings of the YAML reader.
func oneLine(err error) error {
	var several *yaml.TypeError
	if errors.As(err, &several) && len(several.Errors) > 0 {
		what, _, _ := strings.Cut(several.Errors[0], " into ") // what follows names a type of this program
		what, _, _ = strings.Cut(what, " in type ")
		return fmt.Errorf("%s here: README.md shows the keys of the config", what)
	}
	return err
}

// file returns a path of the config as the process sees it.
func (cfg *config) file(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(cfg.path), path)
}

func (cfg *config) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", cfg.path, fmt.Errorf(format, args...))
}

// ledgerDir and keyFile are where a guard keeps its own.
func (cfg *config) ledgerDir() string { return filepath.Join(cfg.Data, "guard") }

func (cfg *config) keyFile() string {
	if cfg.Guard != nil && cfg.Guard.Key != "" {
		return cfg.file(cfg.Guard.Key)
	}
	return filepath.Clean(cfg.Data) + ".key"
}

func (cfg *config) registerFile() string { return filepath.Join(cfg.Data, "register", "register.db") }

// guardName is the guard's name in what it signs.
func (cfg *config) guardName() string {
	if cfg.Guard == nil || cfg.Guard.Name == "" {
		return guard.DefaultName
	}
	return cfg.Guard.Name
}

// guardOptions turns the guard's part of the config into options, all but the ledger and the keyring. It reads the key
// lists and creates nothing.
func (cfg *config) guardOptions() (opts guard.Options, upstream *url.URL, err error) {
	gc := cfg.Guard
	if gc == nil {
		return opts, nil, cfg.errorf("no guard in it: this command needs one")
	}
	if upstream, err = url.Parse(gc.Upstream); err != nil || upstream.Scheme != "http" && upstream.Scheme != "https" || upstream.Host == "" {
		return opts, nil, cfg.errorf("guard: upstream %q is no address such as http://127.0.0.1:9000", gc.Upstream)
	}
	if opts.Observe, err = observe(gc.Mode, false); err != nil {
		return opts, nil, cfg.errorf("guard: %w", err)
	}
	opts.Unmatched, opts.Hold = gc.Unmatched, gc.Hold
	if gc.Hold < 0 || gc.Hold > 64<<20 {
		return opts, nil, cfg.errorf("guard: hold must be 0 (for %d) to %d bytes", guard.DefaultHold, 64<<20)
	}
	for _, p := range gc.Principal {
		list, err := cfg.keyList(p)
		if err != nil {
			return opts, nil, cfg.errorf("guard: principal: %w", err)
		}
		opts.Keys = append(opts.Keys, list)
	}
	for _, rc := range gc.Routes {
		rt, err := rc.route(opts.Observe)
		if err != nil {
			return opts, nil, cfg.errorf("guard: route %q: %w", rc.Match, err)
		}
		opts.Routes = append(opts.Routes, rt)
	}
	for _, q := range gc.Quotas {
		per, err := time.ParseDuration(q.Per)
		if err != nil {
			return opts, nil, cfg.errorf("guard: quota of %q: per %q is no duration such as 24h", q.Principal, q.Per)
		}
		if q.Subjects == nil {
			return opts, nil, cfg.errorf("guard: quota of %q: subjects is missing", q.Principal)
		}
		opts.Quotas = append(opts.Quotas, quota.Rule{Principal: q.Principal, Limit: quota.Limit{Subjects: *q.Subjects, Window: per}})
	}
	if err := cfg.ledgerOptions(&opts); err != nil {
		return opts, nil, cfg.errorf("guard: %w", err)
	}
	if err := opts.Check(); err != nil {
		return opts, nil, cfg.errorf("guard: %w", err)
	}
	return opts, upstream, nil
}

// retain is how long entries are kept at least; 0 means for good.
func (cfg *config) retain() (d time.Duration, err error) {
	if r := cfg.Guard.Retain; r != "" {
		if d, err = time.ParseDuration(r); err != nil || d < time.Hour {
			return 0, fmt.Errorf("retain %q is no duration of at least an hour, such as 8760h", r)
		}
	}
	return d, nil
}

// ledgerOptions reads the ledger's settings.
func (cfg *config) ledgerOptions(opts *guard.Options) (err error) {
	gc := cfg.Guard
	opts.Name, opts.Log.VolumeSize = cfg.guardName(), gc.Volume
	if gc.Volume < 0 || gc.Volume > 0 && gc.Volume < 1<<16 || gc.Volume > 4<<30 {
		return fmt.Errorf("volume must be 0 (for %d) or %d to %d bytes", ledger.DefaultVolumeSize, 1<<16, 4<<30)
	}
	if _, err := cfg.retain(); err != nil {
		return err
	}
	if gc.ClockJump != "" {
		if opts.Log.ClockJump, err = time.ParseDuration(gc.ClockJump); err != nil || opts.Log.ClockJump < time.Minute {
			return fmt.Errorf("clock_jump %q is no duration of at least a minute, such as 168h", gc.ClockJump)
		}
	}
	return nil
}

func (cfg *config) keyList(p principalConfig) (*guard.KeyList, error) {
	if p.Header == "" || p.Keys == "" {
		return nil, errors.New("give header and keys, such as {header: X-Api-Key, keys: keys.txt}; other credentials are not read by this version")
	}
	path := cfg.file(p.Keys)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key list: %w", err)
	}
	defer f.Close()
	list, err := guard.ReadKeyList(f, p.Header)
	if err != nil {
		return nil, fmt.Errorf("key list %s: %w", path, err)
	}
	return list, nil
}

func observe(mode string, otherwise bool) (bool, error) {
	switch mode {
	case "":
		return otherwise, nil
	case "enforce":
		return false, nil
	case "observe":
		return true, nil
	}
	return false, fmt.Errorf("mode %q is neither enforce nor observe", mode)
}

// choice returns whether value is the second of two words; empty is the first.
func choice(key, value, first, second string) (bool, error) {
	switch value {
	case "", first:
		return false, nil
	case second:
		return true, nil
	}
	return false, fmt.Errorf("%s %q is neither %s nor %s", key, value, first, second)
}

func (rc *routeConfig) route(observed bool) (rt *guard.Route, err error) {
	rt = &guard.Route{Match: rc.Match, Records: rc.Records, Subject: rc.Subject.pointer, SubjectIn: rc.Subject.path, Unit: rc.Unit}
	if rt.Cut, err = choice("over", rc.Over, "refuse", "cut"); err != nil {
		return nil, err
	}
	if rt.PassOther, err = choice("non_json", rc.NonJSON, "refuse", "pass"); err != nil {
		return nil, err
	}
	if rt.Irregular, err = choice("irregular", rc.Irregular, "refuse", "read"); err != nil {
		return nil, err
	}
	if rt.Observe, err = observe(rc.Mode, observed); err != nil {
		return nil, err
	}
	rt.Classes = map[string]weir.Class{}
	for pointer, name := range rc.Classes {
		class, err := weir.ParseClass(name)
		if err != nil {
			return nil, err
		}
		rt.Classes[pointer] = class
	}
	return rt, nil
}
