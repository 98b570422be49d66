{{/* What the containers of both modes have in common. */}}
{{- define "schemaward.container" -}}
name: schemaward
image: {{ include "schemaward.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: ["run", "--config", "/etc/schemaward/schemaward.yaml"]
{{- with .Values.env }}
env: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
volumeMounts: {{- include "schemaward.mounts" . | nindent 2 }}
{{- end -}}

{{/* Folders, never subPath: what is changed in a ConfigMap or Secret does not arrive there. */}}
{{- define "schemaward.mounts" -}}
- {name: schemaward-config, mountPath: /etc/schemaward, readOnly: true}
{{- range concat .Values.secrets .Values.configMaps }}
- {name: schemaward-{{ .name | replace "." "-" | trunc 52 | trimSuffix "-" }}, mountPath: {{ .mountPath }}, readOnly: true}
{{- end }}
{{- end -}}

{{/* For a chart that has an application of its own: the items of its pod's `volumes`. */}}
{{- define "schemaward.sidecar.volumes" -}}
- name: schemaward-config
  configMap: {name: {{ include "schemaward.configMap" . }}}
{{- range .Values.secrets }}
- name: schemaward-{{ .name | replace "." "-" | trunc 52 | trimSuffix "-" }}
  secret: {secretName: {{ .name }}}
{{- end }}
{{- range .Values.configMaps }}
- name: schemaward-{{ .name | replace "." "-" | trunc 52 | trimSuffix "-" }}
  configMap: {name: {{ .name }}}
{{- end }}
{{- end -}}

{{/* And the item of its pod's `initContainers`, before all others that use Kafka. */}}
{{- define "schemaward.sidecar.container" -}}
{{- $waits := eq .Values.startup "wait-for-broker" -}}
{{- include "schemaward.container" . }}
# A native sidecar: it starts before the application and is told to stop after it.
restartPolicy: Always
ports:
  - {name: probes, containerPort: {{ include "schemaward.probesPort" . }}}
startupProbe:
  httpGet: {path: {{ ternary "/readyz" "/livez" $waits }}, port: probes}
  periodSeconds: 1
  failureThreshold: {{ ternary 600 30 $waits }}
  timeoutSeconds: 5
livenessProbe:
  httpGet: {path: /livez, port: probes}
  timeoutSeconds: 5
resources: {{- toYaml .Values.sidecar.resources | nindent 2 }}
{{- end -}}

{{/* Changes with the configuration, where that is wanted. */}}
{{- define "schemaward.podAnnotations" -}}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- if .Values.restartOnConfigChange }}
schemaward/config: {{ include "schemaward.file" . | sha256sum }}
{{- end }}
{{- end -}}
