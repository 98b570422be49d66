{{- define "schemaward.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for what is appended: "-" and a node id of ten digits, or "-bootstrap". */}}
{{- define "schemaward.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "schemaward.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "schemaward.selectorLabels" -}}
app.kubernetes.io/name: {{ include "schemaward.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Values.mode }}
{{- end -}}

{{- define "schemaward.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "schemaward.selectorLabels" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "schemaward.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "schemaward.configMap" -}}
{{- default (include "schemaward.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{/* The listeners that the mode needs; .Values.config goes over them. */}}
{{- define "schemaward.defaults" -}}
{{- if eq .Values.mode "sidecar" }}
listen: {bootstrap: "127.0.0.1:9092"}
{{- else }}
{{- $routing := dig "listen" "routing" "ports" .Values.config }}
listen:
  bootstrap: "0.0.0.0:9092"
  {{- if eq $routing "ports" }}
  broker_ports: 9100-9119
  {{- end }}
  {{- if eq .Values.gateway.services "per-broker" }}
  advertised_host: "{{ include "schemaward.fullname" . }}-{node_id}.{{ .Release.Namespace }}.svc"
  {{- if eq $routing "ports" }}
  advertised_port: {{ dig "listen" "bootstrap" "0.0.0.0:9092" .Values.config | splitList ":" | last }}
  {{- end }}
  {{- else if eq $routing "ports" }}
  advertised_host: {{ include "schemaward.fullname" . }}.{{ .Release.Namespace }}.svc
  {{- end }}
{{- end }}
admin: {listen: "127.0.0.1:9464", probes_listen: "0.0.0.0:9465"}
{{- end -}}

{{/* What is configured, as JSON: for what the manifests have to know of it. */}}
{{- define "schemaward.effective" -}}
{{- if .Values.configFile -}}
{{- $config := fromYaml .Values.configFile -}}
{{- if hasKey $config "Error" }}{{ fail (printf "configFile: %s" $config.Error) }}{{ end -}}
{{- toJson $config -}}
{{- else -}}
{{- mustMergeOverwrite (include "schemaward.defaults" . | fromYaml) (deepCopy .Values.config) | toJson -}}
{{- end -}}
{{- end -}}

{{/* The text of schemaward.yaml. What nobody can guess has to be there. */}}
{{- define "schemaward.file" -}}
{{- $config := include "schemaward.effective" . | fromJson -}}
{{- $_ := required "config.upstream.bootstrap is missing: the brokers" (dig "upstream" "bootstrap" nil $config) -}}
{{- $_ := required "config.registry is missing: where schemas are" $config.registry -}}
{{- if eq .Values.mode "gateway" -}}
{{- $_ := required "config.listen.client_auth is missing: who may use the gateway, none, mtls or sasl" (dig "listen" "client_auth" nil $config) -}}
{{- end -}}
{{- if .Values.configFile -}}
{{- .Values.configFile -}}
{{- else -}}
{{- include "schemaward.effective" . | fromJson | toYaml -}}
{{- end -}}
{{- end -}}

{{- define "schemaward.bootstrapPort" -}}
{{- $config := include "schemaward.effective" . | fromJson -}}
{{- dig "listen" "bootstrap" "127.0.0.1:9092" $config | splitList ":" | last -}}
{{- end -}}

{{- define "schemaward.probesPort" -}}
{{- $config := include "schemaward.effective" . | fromJson -}}
{{- $address := dig "admin" "probes_listen" "" $config -}}
{{- if not $address }}{{ fail "config: admin.probes_listen is missing: kubelet has nothing to ask" }}{{ end -}}
{{- $address | splitList ":" | last -}}
{{- end -}}

{{- define "schemaward.routing" -}}
{{- dig "listen" "routing" "ports" (include "schemaward.effective" . | fromJson) -}}
{{- end -}}

{{/* Every node id that has a port, and the port, as a JSON list. */}}
{{- define "schemaward.brokerPorts" -}}
{{- $config := include "schemaward.effective" . | fromJson -}}
{{- $given := dig "listen" "broker_ports" "9100-9199" $config -}}
{{- $ranges := $given -}}
{{- if kindIs "string" $given -}}
{{- $ranges = list (dict "ports" $given) -}}
{{- end -}}
{{- $all := list -}}
{{- range $range := $ranges -}}
{{- $ports := splitList "-" $range.ports -}}
{{- $first := first $ports | int -}}
{{- $node := 0 -}}
{{- with $range.nodes }}{{ $node = splitList "-" . | first | int }}{{ end -}}
{{- range $at := until (add1 (sub (last $ports | int) $first) | int) -}}
{{- $all = append $all (dict "node" (add $node $at) "port" (add $first $at)) -}}
{{- end -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}
